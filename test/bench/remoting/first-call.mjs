// node first-call.mjs CLIENT SOCKET: connects, prints a line, and for a line on standard input makes its first call.
// CLIENT: axle, or call-by-call, which waits for the answer to each frame before it sends the next.
import '../no-telemetry.mjs';

import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { createInterface } from 'node:readline';

import { connect } from 'axle';
import { decodeFrame, FrameSplitter, FrameWriter } from '@axle/remoting';

/** @typedef {import('@axle/remoting').Frame} Frame */

const bytes = new Uint8Array(64).fill(7);
const [client = '', socket = ''] = process.argv.slice(2);
const call = client === 'axle' ? await axleClient() : await callByCallClient();
console.log('connected');
await once(createInterface(process.stdin), 'line');
await call();
console.log('called');

async function axleClient() {
  const axle = await connect(`axle+unix:${socket}`);
  return async () => {
    await axle.run('echo.axle/echo', { bytes });
  };
}

async function callByCallClient() {
  const stream = connectSocket(socket);
  const writer = new FrameWriter();
  const splitter = new FrameSplitter('server');
  const ends = new Set(['WELCOME', 'DONE', 'BOUND', 'RESULT', 'ERROR', 'GOAWAY']);
  /** @type {(frame: Frame) => void} */
  let answered = () => undefined;
  stream.on('data', (chunk) => {
    splitter.push(chunk, (raw) => {
      const frame = decodeFrame(raw);
      if (ends.has(frame.type)) answered(frame);
    });
  });
  const ask = async (/** @type {Frame} */ frame, /** @type {Frame['type']} */ wanted) => {
    const answer = new Promise((resolve) => (answered = resolve));
    writer.write(frame);
    for (const part of writer.take()) stream.write(part);
    const { type } = /** @type {Frame} */ (await answer);
    if (type !== wanted) throw new Error(`${frame.type} was answered by ${type}`);
  };
  await ask(
    {
      type: 'HELLO',
      id: 0,
      version: 1,
      versionMin: 1,
      versionMax: 1,
      credential: 'NONE',
      features: 0,
      nonce: new Uint8Array(16),
      payloadMax: 65536,
      streamWindow: 1 << 20,
      connectionWindow: 1 << 22,
      tenant: '',
      token: new Uint8Array(0),
      agent: 'bench',
    },
    'WELCOME',
  );
  await ask({ type: 'DESCRIBE', id: 1, watch: false }, 'DONE');
  return async () => {
    await ask(
      {
        type: 'BIND',
        id: 2,
        strict: false,
        names: true,
        labels: false,
        steps: false,
        op: 0,
        opVersion: 1,
        first: 0,
        last: 0,
        opName: 'echo.axle/echo',
        device: '',
        model: 0,
        outputBytesMax: 0,
        args: [],
        inputNames: ['bytes'],
      },
      'BOUND',
    );
    await ask(
      {
        type: 'CALL',
        id: 3,
        keep: false,
        omit: false,
        replay: false,
        binding: 2,
        deadlineUs: 0,
        priority: 0,
        place: undefined,
        trace: undefined,
        inputs: [
          {
            source: 'INLINE',
            slot: 0,
            dtype: 'UINT8',
            shape: [bytes.length],
            name: '',
            data: bytes,
          },
        ],
      },
      'RESULT',
    );
  };
}
