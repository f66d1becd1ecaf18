// Uses the plugin host as a process or a worker of its own. What it does is the first argument, or
// workerData; see environments.test.ts.
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { loadNativeBinding, nativeAddonPath } from '../../dist/native-loader.js';

const ECHO = 65536;
const SLEEP = 65538;
const PAUSE = 65543;
const PLUGIN = join(dirname(nativeAddonPath()), 'axle_test_plugin.so');

const binding = loadNativeBinding();
const pending = new Map();
binding.onCompletions((count, numbers, payloads) => {
  for (let i = 0; i < count; i++) {
    const taskId = numbers[i * 8];
    pending.get(taskId)(payloads[i]);
    pending.delete(taskId);
  }
});

const { pluginId } = await binding.pluginOpen(PLUGIN, {});
const queueId = binding.queueOpen(pluginId, 0);

function call(op, inputs, ms) {
  const argsId = ms === undefined ? 0 : binding.argsCreate([['ms', 2, ms]]);
  const taskId = binding.stage(op, 1, 0, 0, 0, argsId, inputs, 1 << 24, 0);
  binding.submit(queueId);
  if (argsId !== 0) binding.argsFree(argsId);
  return new Promise((resolve) => pending.set(taskId, resolve));
}

async function echoes(count, bytes) {
  const data = new Uint8Array(bytes).fill(count % 256);
  const results = await Promise.all(
    Array.from({ length: count }, () => call(ECHO, [null, 2, [bytes], data])),
  );
  return results.filter(([output]) => Buffer.compare(output.data, data) === 0).length;
}

/** Work of every kind, none of which is waited for. */
function startEverything() {
  for (let i = 0; i < 50; i++) {
    const bytes = i % 2 === 0 ? 64 : 200_000;
    void call(ECHO, [null, 2, [bytes], new Uint8Array(bytes).fill(i)]);
    void call(SLEEP, [null, 2, [bytes], new Uint8Array(bytes).fill(i)], 60_000);
  }
  for (let i = 0; i < 5; i++) {
    void call(PAUSE, [null, 2, [300_000], new Uint8Array(300_000).fill(i)], 50 + i);
  }
  const stream = binding.streamOpen(pluginId, 0, ECHO, 1, 0);
  pending.set(binding.streamWrite(stream, new Uint8Array(100_000), false, 1 << 20, 0), () => {});
  const files = [{ name: 'm', data: new Uint8Array(500_000) }];
  void binding.modelLoad(pluginId, 0, 'm', 'test', files, [['delay_ms', 2, 60]]);
  void binding.pluginOpen(PLUGIN, { never: 'closed' });
  binding.stage(ECHO, 1, 0, 0, 0, 0, [null, 2, [2000], new Uint8Array(2000)], 100, 0);
}

const modes = {
  async echoes() {
    return echoes(2000, 100);
  },
  async large() {
    return echoes(200, 100_000);
  },
  async idle() {
    await echoes(10, 10);
  },
  waits() {
    void call(PAUSE, [], 100).then(() => console.log('came'));
  },
  async busy() {
    startEverything();
    parentPort?.postMessage('busy');
    await sleep(60_000);
  },
  returns() {
    startEverything();
  },
  exit() {
    startEverything();
    process.exit(7);
  },
  async exitLater() {
    startEverything();
    await sleep(20);
    process.exit(7);
  },
  async throws() {
    startEverything();
    setImmediate(() => {
      throw new Error('uncaught on purpose');
    });
    await sleep(1000);
  },
  async handlerThrows() {
    process.on('uncaughtException', (error) => console.log(error.message));
    const argsId = binding.argsCreate([['ms', 2, 20]]);
    const taskId = binding.stage(PAUSE, 1, 0, 0, 0, argsId, [], 100, 0);
    pending.set(taskId, () => {
      throw new Error('out of the handler');
    });
    binding.submit(queueId);
    await sleep(60);
    console.log(await echoes(10, 10));
  },
  async abandon() {
    // Outputs live on in JavaScript when everything else is gone.
    globalThis.kept = await call(ECHO, [null, 2, [100_000], new Uint8Array(100_000)]);
  },
  async workers() {
    const workers = Array.from({ length: 3 }, (_, i) => {
      const mode = i === 0 ? 'echoes' : 'busy';
      return new Worker(new URL(import.meta.url), { workerData: mode });
    });
    await Promise.all(
      workers.map((each) => new Promise((resolve) => each.once('message', resolve))),
    );
    process.exit(7);
  },
};

const mode = isMainThread ? process.argv[2] : workerData;
const result = await modes[mode]();
if (!isMainThread && result !== undefined) parentPort.postMessage(result);
