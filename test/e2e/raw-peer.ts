import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';

import {
  decodeFrame,
  FrameSplitter,
  FrameWriter,
  type BindFrame,
  type CallFrame,
  type Frame,
  type HelloFrame,
} from '@axle/remoting';

/** A client that says what it is told to, be it against the rules. */
export class RawPeer {
  /** All that came, in order. */
  readonly frames: Frame[] = [];
  private waiting: (() => void)[] = [];

  /** @param socket open to a server */
  constructor(readonly socket: Duplex) {
    const splitter = new FrameSplitter('server');
    socket.on('data', (chunk: Buffer) => {
      // Data lies in the chunk, which the socket does not use again.
      splitter.push(chunk, (raw) => this.frames.push(decodeFrame(raw)));
      this.hear();
    });
    // That it is cut off is what some tests wait for.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.hear();
    });
    // What a socket does by itself.
    socket.on('end', () => socket.end());
  }

  /**
   * Connects, and says the frames.
   *
   * @param place the path of a socket, or a port of this machine
   */
  static async at(place: string | number, ...frames: readonly Frame[]): Promise<RawPeer> {
    const socket = typeof place === 'string' ? connect(place) : connect(place, '127.0.0.1');
    const peer = new RawPeer(socket);
    await once(socket, 'connect');
    peer.send(...frames);
    return peer;
  }

  send(...frames: readonly Frame[]): void {
    const writer = new FrameWriter();
    for (const frame of frames) writer.write(frame);
    for (const part of writer.take()) this.socket.write(part);
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The first frame, among those that came and will come, that passes. @throws Error when the connection ends before */
  async waitFor(passes: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(passes);
      if (found !== undefined) return found;
      if (this.socket.closed) {
        const came = this.frames.map(({ type }) => type).join();
        throw new Error(`the server closed the connection; it had sent ${came}`);
      }
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
      });
    }
  }

  /** The final answer of a handle. */
  answerOf(id: number): Promise<Frame> {
    return this.waitFor((frame) => frame.id === id && finalTypes.has(frame.type));
  }

  /** All frames, once the server has closed the connection. */
  async untilClosed(): Promise<readonly Frame[]> {
    if (!this.socket.closed) await once(this.socket, 'close');
    return this.frames;
  }

  private hear(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  close(): void {
    this.socket.destroy();
  }
}

const finalTypes = new Set(['RESULT', 'ERROR', 'DONE', 'BOUND', 'LOADED']);

export const hello: HelloFrame = {
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
  agent: 'a test',
};

/** Compress with zstd at level 19. */
export function bindCompress(id: number, changes: Partial<BindFrame> = {}): BindFrame {
  return {
    type: 'BIND',
    id,
    strict: false,
    names: false,
    labels: false,
    steps: false,
    op: 6,
    opVersion: 1,
    first: 0,
    last: 0,
    opName: '',
    device: '',
    model: 0,
    outputBytesMax: 0,
    args: [
      { name: 'codec', type: 'INT', value: 1 },
      { name: 'level', type: 'INT', value: 19 },
    ],
    inputNames: [],
    ...changes,
  };
}

export function callOf(
  id: number,
  binding: number,
  data: Uint8Array,
  changes: Partial<CallFrame> = {},
): CallFrame {
  return {
    type: 'CALL',
    id,
    keep: false,
    omit: false,
    replay: false,
    binding,
    deadlineUs: 0,
    priority: 0,
    place: undefined,
    trace: undefined,
    inputs: [
      { source: 'INLINE', slot: 0, dtype: 'UINT8', shape: [data.byteLength], name: '', data },
    ],
    ...changes,
  };
}
