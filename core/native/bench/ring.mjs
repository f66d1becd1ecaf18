// Run by `npm run bench -- dispatch`: echoes through the addon alone, tasks into the plugin's queue and completions out
// of its list, with no promise for any of them. Arguments and figures as in test/bench/dispatch-run.mjs.
import { once } from 'node:events';

import { CUSTOM_OP_ID_FIRST, DataType } from '../../dist/generated/constants.js';
import { loadNativeBinding } from '../../dist/native-loader.js';

const [plugin = '', inFlightText = '32', secondsText = '1', spinUs = '0'] = process.argv.slice(2);
const inFlight = Number(inFlightText);
const warmUpMs = 1000;
const payload = new Uint8Array(64).fill(7);
const inputs = ['bytes', DataType.UINT8, [payload.length], payload];

const binding = loadNativeBinding();
let arrived = (/** @type {number} */ _count) => undefined;
binding.onCompletions((count) => arrived(count));
const { pluginId } = await binding.pluginOpen(plugin, { spin_us: spinUs });
const queueId = binding.queueOpen(pluginId, 0);

process.send?.('ready');
await once(process, 'message');
// Until everything on the way is compiled.
await run(warmUpMs);
process.send?.(await run(Number(secondsText) * 1000));
await once(process, 'disconnect');
await binding.queueClose(queueId);
await binding.pluginClose(pluginId);

/** @param {number} count */
function send(count) {
  for (let i = 0; i < count; i++) {
    binding.stage(CUSTOM_OP_ID_FIRST, 1, 0, 0, 0, 0, inputs, 1 << 20, 0);
  }
  binding.submit(queueId);
}

/**
 * @param {number} forMs
 * @returns {Promise<{opsPerSecond: number, latenciesUs: number[]}>}
 */
function run(forMs) {
  return new Promise((resolve) => {
    const latenciesUs = /** @type {number[]} */ ([]);
    let done = 0;
    let left = inFlight;
    let sentAt = performance.now();
    const startedAt = sentAt;
    arrived = (count) => {
      const now = performance.now();
      latenciesUs.push((now - sentAt) * 1000);
      done += count;
      if (now - startedAt < forMs) {
        sentAt = now;
        send(count);
        return;
      }
      left -= count;
      if (left === 0) resolve({ opsPerSecond: (done * 1000) / (now - startedAt), latenciesUs });
    };
    send(inFlight);
  });
}
