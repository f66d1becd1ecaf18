// The program of an instance that is a process. The channel is file 3; nothing else is told to it.
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

serveHandler(channel, ({ environment, folder }) => {
  Object.assign(process.env, environment);
  process.chdir(folder);
});
