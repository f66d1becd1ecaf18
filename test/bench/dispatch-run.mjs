// node dispatch-run.mjs ring|client IN_FLIGHT SECONDS SPIN_US [als]: echoes as fast as they go, and prints
// {opsPerSecond, p50Us} as JSON. A process of its own, because the addon hands completions to one handler.
import './no-telemetry.mjs';

import { AsyncLocalStorage } from 'node:async_hooks';
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

import { connect } from 'axle';

import { DataType, CUSTOM_OP_ID_FIRST } from '../../core/dist/generated/constants.js';
import { loadNativeBinding } from '../../core/dist/native-loader.js';
import { median } from './row.mjs';

const PLUGIN = fileURLToPath(new URL('../../plugins/echo/build/libaxle_echo.so', import.meta.url));
const PAYLOAD = new Uint8Array(64).fill(7);

const [mode, inFlightText = '32', secondsText = '1', spinUs = '0', als] = process.argv.slice(2);
const inFlight = Number(inFlightText);
const runMs = Number(secondsText) * 1000;
const options = { spin_us: spinUs };

const { op, close } = mode === 'ring' ? await openRing() : await openClient();
pin();
const run = als === 'als' ? withStorage : (/** @type {() => Promise<unknown>} */ work) => work();
await run(() => op(runMs / 4));
const { opsPerSecond, latenciesUs } = await run(() => op(runMs));
process.stdout.write(JSON.stringify({ opsPerSecond, p50Us: median(latenciesUs) }));
await close();

/**
 * What a run of echoes gives. Latencies are taken of every tenth one, so that taking them costs little.
 *
 * @typedef {{ opsPerSecond: number, latenciesUs: number[] }} Figures
 */

/** The addon alone: tasks into the plugin's queue and completions out of the ring, no promise for any. */
async function openRing() {
  const binding = loadNativeBinding();
  let arrived = (/** @type {number} */ _count) => undefined;
  binding.onCompletions((count) => arrived(count));
  const { pluginId } = await binding.pluginOpen(PLUGIN, options);
  const queueId = binding.queueOpen(pluginId, 0);
  const inputs = ['bytes', DataType.UINT8, [PAYLOAD.length], PAYLOAD];
  const send = (/** @type {number} */ count) => {
    for (let i = 0; i < count; i++) {
      binding.stage(CUSTOM_OP_ID_FIRST, 1, 0, 0, 0, 0, inputs, 1 << 20, 0);
    }
    binding.submit(queueId);
  };
  return {
    /** @returns {Promise<Figures>} */
    op: (/** @type {number} */ forMs) =>
      new Promise((resolve) => {
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
          if (left === 0) {
            resolve({ opsPerSecond: (done * 1000) / (now - startedAt), latenciesUs });
          }
        };
        send(inFlight);
      }),
    close: async () => {
      await binding.queueClose(queueId);
      await binding.pluginClose(pluginId);
    },
  };
}

/** The whole way: client, dispatch, router, scheduler, addon, plugin thread, promise. */
async function openClient() {
  const client = await connect({ plugins: [{ name: 'echo', path: PLUGIN, options }] });
  return {
    /** @returns {Promise<Figures>} */
    op: async (/** @type {number} */ forMs) => {
      const latenciesUs = /** @type {number[]} */ ([]);
      let done = 0;
      const startedAt = performance.now();
      const until = startedAt + forMs;
      const caller = async () => {
        for (let i = 0; ; i++) {
          const sentAt = i % 10 === 0 ? performance.now() : 0;
          await client.run('echo.axle/echo', { bytes: PAYLOAD });
          done += 1;
          if (sentAt === 0) continue;
          const now = performance.now();
          latenciesUs.push((now - sentAt) * 1000);
          if (now > until) return;
        }
      };
      await Promise.all(Array.from({ length: inFlight }, caller));
      return { opsPerSecond: (done * 1000) / (performance.now() - startedAt), latenciesUs };
    },
    close: () => client.close(),
  };
}

/** @param {() => Promise<Figures>} work */
function withStorage(work) {
  return new AsyncLocalStorage().run({ request: 1 }, work);
}

/** The JavaScript thread on one core, every other thread, the plugin's among them, on the next. */
function pin() {
  if (availableParallelism() < 2) return;
  const pid = String(process.pid);
  execFileSync('taskset', ['-a', '-p', '-c', '1', pid], { stdio: 'ignore' });
  execFileSync('taskset', ['-p', '-c', '0', pid], { stdio: 'ignore' });
}
