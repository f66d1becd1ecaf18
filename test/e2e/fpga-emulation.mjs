// A process whose emulated FPGA is as AXLE_EMULATED_XRT has it. Compresses with the plugin that is given as JSON, and
// prints as JSON what came of it.
import { connect } from 'axle';

const [plugin = ''] = process.argv.slice(2);
const bytes = Buffer.alloc(100_000, 'what is compressed here ');
const client = await connect({ plugins: [JSON.parse(plugin)] });

/** @param {boolean} strict */
async function compress(strict) {
  try {
    return (await client.compress(bytes, { codec: 'lz4', device: 'fpga-xrt', strict })).device;
  } catch (error) {
    const { code, message } = /** @type {{ code: string, message: string }} */ (error);
    return `${code}: ${message}`;
  }
}

const first = await compress(true);
const second = await compress(true);
const { devices, unavailable } = await client.devices();
const [card] = devices.filter(({ backend }) => backend === 'fpga-xrt');
const fallback = await compress(false);
console.log(
  JSON.stringify({
    first,
    second,
    fallback,
    health: card?.health,
    reason: unavailable.find(({ backend }) => backend === 'fpga-xrt')?.reason,
  }),
);
await client.close();
