import { parentPort, workerData } from 'node:worker_threads';

import { connect } from 'axle';

const client = await connect();
const inputs = Array.from({ length: 100 }, () => ({ x: Float32Array.of(0, 0) }));
const results = await client.infer(workerData, inputs);
const sum = results.reduce(
  (total, { outputs }) => total + outputs.y.data[0] + outputs.y.data[1],
  0,
);
await client.close();
parentPort?.postMessage(sum);
