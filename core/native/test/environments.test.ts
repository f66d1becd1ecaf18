import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { binding, bytesOf, call, TEST_PLUGIN, TestOp } from './harness.js';

const SCRIPT = new URL('./environment.mjs', import.meta.url);

let pluginId = 0;
let queueId = 0;

beforeAll(async () => {
  ({ pluginId } = await binding.pluginOpen(TEST_PLUGIN, {}));
  queueId = binding.queueOpen(pluginId, 0);
});

afterAll(async () => {
  await binding.queueClose(queueId);
  await binding.pluginClose(pluginId);
});

function startWorker(mode: string): Worker {
  return new Worker(SCRIPT, { workerData: mode });
}

async function messageOf(worker: Worker): Promise<unknown> {
  const [message] = (await once(worker, 'message')) as unknown[];
  return message;
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
  readonly ms: number;
}

async function run(mode: string): Promise<Ended> {
  const started = performance.now();
  const child = spawn(process.execPath, [fileURLToPath(SCRIPT), mode]);
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, output, ms: performance.now() - started };
}

test('workers share the plugin and each gets its own completions', async () => {
  const workers = ['echoes', 'echoes', 'large', 'echoes'].map(startWorker);
  const results = workers.map(messageOf);
  const exits = workers.map((worker) => once(worker, 'exit'));
  const mine = await Promise.all(
    Array.from({ length: 2000 }, async (_, i) => {
      const { outputs } = await call(queueId, TestOp.echo, [null, 2, [1], Uint8Array.of(i)]);
      return bytesOf(outputs[0])[0] === i % 256;
    }),
  );
  expect(mine.every(Boolean)).toBe(true);
  expect(await Promise.all(results)).toEqual([2000, 2000, 200, 2000]);
  await Promise.all(exits);
});

test('a worker may be terminated with everything in flight', async () => {
  for (let round = 0; round < 8; round++) {
    const workers = [startWorker('busy'), startWorker('busy')];
    await Promise.all(workers.map(messageOf));
    const exits = workers.map((worker) => once(worker, 'exit'));
    await Promise.all(workers.map((worker) => worker.terminate()));
    await Promise.all(exits);
    expect((await call(queueId, TestOp.echo)).status).toBe(0);
  }
  expect(binding.counters().tasksOutstanding).toBe(0);
  expect(binding.counters().pluginFaults).toBe(0);
});

test('a worker may be terminated at any moment', async () => {
  for (let round = 0; round < 12; round++) {
    const worker = startWorker(round % 2 === 0 ? 'echoes' : 'returns');
    await new Promise((resolve) => setTimeout(resolve, 30 + round * 12));
    await worker.terminate();
  }
  expect((await call(queueId, TestOp.echo)).status).toBe(0);
  expect(binding.counters().pluginFaults).toBe(0);
});

test('process.exit in a worker ends that worker alone', async () => {
  const worker = startWorker('exit');
  const [code] = (await once(worker, 'exit')) as unknown[];
  expect(code).toBe(7);
  expect((await call(queueId, TestOp.echo)).status).toBe(0);
});

test('what a worker left open is closed with it', async () => {
  const worker = startWorker('abandon');
  await once(worker, 'exit');
  expect((await call(queueId, TestOp.echo)).status).toBe(0);
});

test('a process with nothing outstanding ends by itself', async () => {
  expect(await run('idle')).toMatchObject({ code: 0, signal: null, output: '' });
  expect(await run('abandon')).toMatchObject({ code: 0, signal: null, output: '' });
});

test('a process with a task outstanding waits for it', async () => {
  expect(await run('waits')).toMatchObject({ code: 0, output: 'came\n' });
});

test.each(['exit', 'exitLater', 'workers'])(
  'a process ends at once and cleanly: %s',
  async (mode) => {
    const ended = await run(mode);
    expect(ended).toMatchObject({ code: 7, signal: null, output: '' });
    expect(ended.ms).toBeLessThan(20_000);
  },
);

test('an uncaught error ends a process as it would without tasks', async () => {
  const ended = await run('throws');
  expect(ended).toMatchObject({ code: 1, signal: null });
  expect(ended.output).toContain('uncaught on purpose');
});

test('an exception that leaves the completion handler is uncaught, and completions still come', async () => {
  expect(await run('handlerThrows')).toMatchObject({ code: 0, output: 'out of the handler\n10\n' });
});
