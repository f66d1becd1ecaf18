import { ok } from 'node:assert';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';

import { limitsWith, Runtime, Session } from '@axle/core/internal';

import { wireSeeds } from '../../../test/wire/seeds.mjs';
import { decodeFrame } from '../../dist/wire/decode-frame.js';
import { FrameSplitter } from '../../dist/wire/frame-splitter.js';
import { FrameWriter } from '../../dist/wire/frame-writer.js';
import { DeviceWatch } from '../../dist/server/device-watch.js';
import { publicModels } from '../../dist/server/models/model-devices.js';
import { ServerModels } from '../../dist/server/models/server-models.js';
import { loadServeSettings } from '../../dist/server/settings/serve-settings.js';
import { Resumption } from '../../dist/server/resumption.js';
import { WireFront } from '../../dist/server/wire-front.js';
import { ResourceStore } from '../../dist/store/resource-store.js';
import { Tenants } from '../../dist/trust/tenants.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */
/** @import { Frame } from '../../dist/wire/frames.js' */

const MEMORY_BYTES_MAX = 1 << 20;

const limits = limitsWith({ callsInFlightMax: 16 });
const runtime = await Runtime.start({ plugins: [], models: [], limits });
const watch = new DeviceWatch(runtime);
const { tenancy } = (await loadServeSettings({ listen: ['unix:unused'] })).trust;
const tenant = new Tenants(tenancy).get('fuzz');
const folder = await mkdtemp(join(tmpdir(), 'axle-fuzz-store-'));
// Room for nothing: what is sent is refused before it meets the disk.
const store = await ResourceStore.open({
  folder,
  isTemporary: true,
  bytesMax: 1,
  limitsOf: () => ({ models: 0, modelBytes: 0 }),
});
const published = publicModels(runtime, limits, undefined, () => undefined);
const models = new ServerModels(runtime.repository, store, limits, published);
process.on('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});

/** Takes what the server says, and says what it is told to at once. */
class Wire extends Duplex {
  splitter = new FrameSplitter('server');
  /** @type {string | undefined} */
  fault = undefined;

  _read() {
    // Nothing is to be fetched.
  }

  /**
   * @param {Buffer} chunk
   * @param {string} _encoding
   * @param {() => void} done
   */
  _write(chunk, _encoding, done) {
    this.splitter.push(Buffer.from(chunk), (raw) => {
      const frame = decodeFrame(raw);
      // Whatever comes is the client's fault.
      if (frame.type === 'GOAWAY' && frame.code === 'INTERNAL') this.fault = frame.message;
    });
    done();
  }
}

/** @type {FuzzTarget} */
export const target = {
  about:
    'sessions of a client with the server: it refuses or answers, and holds no more than it may',
  bytesMax: 8192,
  run(bytes) {
    const wire = new Wire();
    let closed = 0;
    const front = new WireFront(wire, {
      runtime,
      watch,
      authenticate: () => ({ session: new Session(runtime, 'fuzz', 1, limits), tenant }),
      windows: { connection: MEMORY_BYTES_MAX, stream: MEMORY_BYTES_MAX / 2 },
      instance: Buffer.alloc(16),
      requestBytesMax: MEMORY_BYTES_MAX,
      keptBytesMax: MEMORY_BYTES_MAX,
      models,
      resumption: new Resumption(0),
      handshakeMs: 10_000,
      onClosed: () => (closed += 1),
    });
    const [first = 0] = bytes;
    const step = first < 128 ? bytes.length : 1 + (first & 63);
    for (let at = 1; at < bytes.length; at += step) {
      wire.emit('data', Buffer.from(bytes.subarray(at, at + step)));
      ok(front.bytesDue <= MEMORY_BYTES_MAX && front.keptBytes <= MEMORY_BYTES_MAX);
      ok(front.bytesDue >= 0 && front.keptBytes >= 0 && front.streams >= 0);
      ok(front.unanswered >= 0);
    }
    ok(wire.fault === undefined, wire.fault);
    wire.emit('close');
    ok(closed === 1);
    ok(front.bytesDue === 0 && front.keptBytes === 0);
  },
  seeds: () => [...sessions(), ...wireSeeds()],
  dictionary: ['AXLE\r\n\x1a\n', Buffer.alloc(8), Buffer.alloc(16), Buffer.alloc(8, 0xff)],
};

const hello = {
  ...{ type: 'HELLO', id: 0, version: 1, versionMin: 1, versionMax: 1, credential: 'NONE' },
  ...{ features: 0, nonce: Buffer.alloc(16), payloadMax: 65536, streamWindow: 1 << 20 },
  ...{ connectionWindow: 1 << 22, tenant: '', token: Buffer.alloc(0), agent: 'fuzz' },
};
const bind = {
  ...{ type: 'BIND', id: 1, strict: false, names: true, labels: false, steps: true, op: 6 },
  ...{ opVersion: 1, first: 0, last: 0, opName: '', device: '', model: 0, outputBytesMax: 0 },
  ...{ args: [{ name: 'codec', type: 'INT', value: 1 }], inputNames: [] },
};
const call = {
  ...{ type: 'CALL', id: 2, keep: false, omit: false, replay: false, binding: 1, deadlineUs: 0 },
  ...{ priority: 0, place: undefined, trace: undefined, inputs: [] },
};
const tensor = { slot: 0, dtype: 'UINT8', shape: [16], name: '' };
const inline = { source: 'INLINE', ...tensor, data: Buffer.alloc(16) };
const follows = { source: 'FOLLOWS', ...tensor, bytes: 16 };
const stream = { type: 'STREAM', binding: 1, deadlineUs: 0, priority: 0, trace: undefined };
const data = { type: 'DATA', end: false, data: Buffer.alloc(16) };

/** What a client may well say. */
function sessions() {
  return [
    [hello, bind, { ...call, inputs: [inline] }],
    [hello, bind, { ...call, inputs: [follows] }, { ...data, id: 2 }, { type: 'CANCEL', id: 2 }],
    [
      hello,
      bind,
      { ...call, keep: true, omit: true, inputs: [inline] },
      { ...call, id: 3, inputs: [{ source: 'HANDLE', slot: 0, handle: 2, output: 0 }] },
      { type: 'RELEASE', id: 2 },
    ],
    [
      hello,
      { type: 'PUT', id: 1, tensor: follows },
      { ...data, id: 1 },
      { type: 'RELEASE', id: 1 },
    ],
    [hello, bind, { ...stream, id: 2 }, { ...data, id: 2 }, { ...data, id: 2, end: true }],
    [hello, { type: 'DESCRIBE', id: 1, watch: true }, { type: 'RELEASE', id: 1 }],
    [hello, { type: 'PING', id: 7 }, { type: 'CREDIT', id: 0, bytes: 9 }, { type: 'LIST', id: 1 }],
  ].map((frames) => {
    const writer = new FrameWriter();
    for (const frame of frames) writer.write(/** @type {Frame} */ (frame));
    return Buffer.concat([Buffer.alloc(1), ...writer.take()]);
  });
}
