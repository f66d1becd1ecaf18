// node net-server.mjs SOCKET: gives every message back, over bare `net`.
import { createServer } from 'node:net';

import { NetFrames } from './net-frames.mjs';

const [path = ''] = process.argv.slice(2);
createServer((socket) => {
  const frames = new NetFrames(socket, (message) => {
    frames.send(message);
  });
}).listen(path, () => {
  console.log('ready');
});
