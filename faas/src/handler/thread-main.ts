// The program of an instance that is a thread. Its environment is given to it at its start.
import { workerData, type MessagePort } from 'node:worker_threads';

import { serveHandler } from './handler-main.js';
import { PortStream } from './port-stream.js';

const channel = new PortStream(workerData as MessagePort);
channel.on('close', () => {
  process.exit();
});

serveHandler(channel, () => undefined);
