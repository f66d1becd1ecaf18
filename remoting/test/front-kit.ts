import { duplexPair, type Duplex } from 'node:stream';

import {
  AxleError,
  limitsWith,
  Runtime,
  Session,
  type Backend,
  type BackendStream,
  type BackendTask,
  type Device,
  type Health,
  type LoadedModel,
  type OfferedOp,
  type PluginSpec,
  type Support,
} from '@axle/core/internal';

import { bindCompress, RawPeer } from '../../test/e2e/raw-peer.js';
import { temporaryStore } from '../../test/e2e/temporary-store.js';
import { DeviceWatch } from '../src/server/device-watch.js';
import { ServerModels } from '../src/server/models/server-models.js';
import { publicModels } from '../src/server/models/model-devices.js';
import { Resumption } from '../src/server/resumption.js';
import { loadServeSettings } from '../src/server/settings/serve-settings.js';
import { Tenants } from '../src/trust/tenants.js';
import type { BindFrame } from '../src/wire/frames.js';
import { WireFront, type WireFrontOptions } from '../src/server/wire-front.js';

export const customOp = 'test.axle/custom';

const MiB = 1024 * 1024;
/** How often health is looked at. */
const lookEveryMs = 5;

/** A backend of one device that offers one custom op, which does with tasks what the test says. */
export class CustomBackend implements Backend {
  readonly batches = 'here';
  readonly version = '1.2.3';
  readonly devices: readonly Device[];
  readonly ops: readonly OfferedOp[];
  itsHealth: Health = { state: 'OK', message: '' };

  constructor(
    readonly name: string,
    flags: number,
    private readonly run: (task: BackendTask) => void,
  ) {
    const id = `${name}:0`;
    const of = { memoryBytes: 0, parallel: 64, kind: 'CPU', emulated: true } as const;
    this.devices = [{ id, backend: name, index: 0, name: id, ...of }];
    const spec = { doc: '', args: [], inputs: [], outputs: [] };
    const range = { op: 0x8000_0000, version: 1, first: 0, last: 0, name: customOp };
    this.ops = [{ ...range, flags, batchMax: 1, spec }];
  }

  supports(): Support {
    return { score: 1, reason: '' };
  }

  loadModel(): Promise<LoadedModel> {
    return Promise.reject(new AxleError('UNIMPLEMENTED', 'no models'));
  }

  unloadModel(): Promise<void> {
    return Promise.resolve();
  }

  submit(_device: Device, batch: readonly BackendTask[]): void {
    queueMicrotask(() => {
      for (const task of batch) this.run(task);
    });
  }

  cancel(task: BackendTask): void {
    task.settle({ ok: false, error: new AxleError('CANCELLED', 'stopped') });
  }

  /** Gives what it gets. */
  openStream(): BackendStream {
    const timing = { queueMs: 0, transferMs: 0, computeMs: 1, batchSize: 1 };
    return {
      write: (data = new Uint8Array(0)) => {
        const consumedBytes = data.byteLength;
        return Promise.resolve({ chunks: [data], consumedBytes, more: false, timing });
      },
      close: () => Promise.resolve(),
    };
  }

  health(): Promise<Health> {
    return Promise.resolve(this.itsHealth);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Gives a task its inputs back. */
export function giveBack(task: BackendTask): void {
  const timing = { queueMs: 0, transferMs: 0, computeMs: 1, batchSize: 1 };
  task.settle({ ok: true, outputs: task.inputs, timing });
}

/** Fails a task with UNAVAILABLE. */
export function failTask(task: BackendTask): void {
  task.settle({ ok: false, error: new AxleError('UNAVAILABLE', 'this device is at rest') });
}

/** To the server's side of a connection, in this process, with these backends alone. */
export async function streamTo(
  backends: readonly Backend[],
  changes: Partial<WireFrontOptions> = {},
  plugins: readonly PluginSpec[] = [],
): Promise<Duplex> {
  const limits = limitsWith({});
  const runtime = await Runtime.start({
    plugins,
    decodesImages: false,
    backends,
    models: [],
    limits,
  });
  const { tenancy } = (await loadServeSettings({ listen: ['unix:unused'] })).trust;
  const tenant = new Tenants(tenancy).get('test');
  const published = publicModels(runtime, limits, undefined, () => undefined);
  const store = await temporaryStore();
  const models = new ServerModels(runtime.repository, store, limits, published, false, undefined);
  const [near, far] = duplexPair();
  // As the two ends of a socket do.
  far.on('close', () => near.destroy());
  new WireFront(far, {
    runtime,
    watch: new DeviceWatch(runtime, lookEveryMs),
    authenticate: () => ({ session: new Session(runtime, 'test', 1, limits), tenant }),
    windows: { connection: MiB, stream: MiB / 2 },
    instance: new Uint8Array(16),
    requestBytesMax: MiB,
    keptBytesMax: MiB,
    models,
    resumption: new Resumption(0),
    handshakeMs: 10_000,
    onClosed: () => undefined,
    ...changes,
  });
  return near;
}

/** The same, with a peer at the other end. */
export async function peerOf(
  backends: readonly Backend[],
  changes: Partial<WireFrontOptions> = {},
  plugins: readonly PluginSpec[] = [],
): Promise<RawPeer> {
  return new RawPeer(await streamTo(backends, changes, plugins));
}

export function bindCustom(id: number, changes: Partial<BindFrame> = {}): BindFrame {
  return bindCompress(id, { op: 0, opName: customOp, args: [], ...changes });
}
