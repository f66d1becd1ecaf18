// node net-client.mjs SOCKET: echoes over bare `net`.
import { once } from 'node:events';
import { connect } from 'node:net';

import { serveEchoLoads } from './echo-load.mjs';
import { NetFrames } from './net-frames.mjs';

const [path = ''] = process.argv.slice(2);
const socket = connect(path);
await once(socket, 'connect');

/** Answers come in order. @type {((error: unknown, reply: Uint8Array) => void)[]} */
let waiting = [];
let front = 0;
const frames = new NetFrames(socket, (message) => {
  const done = waiting[front++];
  if (front === waiting.length) {
    waiting = [];
    front = 0;
  }
  done?.(null, message);
});

await serveEchoLoads((payload, done) => {
  waiting.push(done);
  frames.send(payload);
});
