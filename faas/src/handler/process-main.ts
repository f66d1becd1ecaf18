// The program of an instance that is a process. The channel is file 3.
import { Socket } from 'node:net';

import { serveHandler } from './handler-main.js';

const channelFile = 3;

const channel = new Socket({ fd: channelFile, readable: true, writable: true });
// The front end is gone, or has no more use for it. Whoever watches the group ends what this started.
channel.on('close', () => {
  process.exit();
});
channel.on('error', () => {
  process.exit();
});

// It waits for its function: time to load what most functions use.
if (process.argv[2] === 'ahead') void import('axle');

serveHandler(channel, ({ environment, workFolder, folder }) => {
  Object.assign(process.env, environment);
  process.chdir(workFolder ?? folder);
});
