import { parentPort, workerData } from 'node:worker_threads';

import { connect } from 'axle';

const client = await connect();
const inputs = Array.from({ length: 100 }, () => ({ x: Float32Array.of(0, 0) }));
const results = await client.infer(workerData, inputs);
let sum = 0;
for (const { outputs } of results) {
  for (const value of outputs['y']?.data ?? []) sum += Number(value);
}
await client.close();
parentPort?.postMessage(sum);
