// A process whose emulated driver is as AXLE_EMULATED_CUDA has it, for a driver is told once in a process. Compresses
// with the plugin that is given as JSON, and prints as JSON what came of it.
import { connect } from 'axle';

const [plugin = ''] = process.argv.slice(2);
const bytes = Buffer.alloc(300_000, 'what is compressed here ');
const client = await connect({ plugins: [JSON.parse(plugin)] });

/** @param {boolean} strict */
async function compress(strict) {
  try {
    return (await client.compress(bytes, { codec: 'lz4', device: 'cuda', strict })).device;
  } catch (error) {
    const { code, message } = /** @type {{ code: string, message: string }} */ (error);
    return `${code}: ${message}`;
  }
}

const first = await compress(true);
const second = await compress(true);
const fallback = await compress(false);
const { devices, unavailable } = await client.devices();
const gpus = devices.filter(({ backend }) => backend === 'cuda');
console.log(JSON.stringify({ first, second, fallback, gpus, unavailable }));
await client.close();
