import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';

import type {
  Backend,
  BackendTask,
  BackendStream,
  Device,
  Health,
  LoadedModel,
  Support,
  SupportQuery,
} from './backend.js';
import type * as Decoder from './decode-image.js';
import { asAxleError, AxleError, messageOf } from './errors.js';
import type { Limits } from './limits.js';
import { singleOp } from './op.js';

/**
 * Image decoding in the host, by libvips on libuv's threads: JPEG, PNG, WebP, GIF, AVIF, TIFF. libvips is loaded for the
 * first image: it takes longer to load than all the rest of Axle.
 */
export class ImageBackend implements Backend {
  readonly name = 'host';
  readonly version = sharpVersion();
  readonly batches = 'here';
  readonly devices: readonly Device[];
  readonly ops = [{ ...singleOp('decode'), name: '', flags: 3, batchMax: 1 }];

  constructor(private readonly limits: Limits) {
    this.devices = [
      {
        id: 'host:0',
        backend: this.name,
        index: 0,
        name: 'libvips, by sharp',
        kind: 'CPU',
        emulated: false,
        memoryBytes: 0,
        parallel: availableParallelism(),
      },
    ];
  }

  /** Loads libvips now rather than for the first image. */
  async load(): Promise<void> {
    await loadDecoder();
  }

  supports(_device: Device, _query: SupportQuery): Support {
    return { score: 1, reason: '' };
  }

  loadModel(): Promise<LoadedModel> {
    return Promise.reject(new AxleError('UNIMPLEMENTED', 'the host runs no models; use a plugin'));
  }

  unloadModel(): Promise<void> {
    return Promise.resolve();
  }

  submit(_device: Device, batch: readonly BackendTask[]): void {
    for (const task of batch) void this.run(task);
  }

  /** libvips cannot be stopped in the middle; the caller does not wait for it. */
  cancel(): void {
    return;
  }

  openStream(): BackendStream {
    throw new AxleError('UNIMPLEMENTED', 'images are not decoded as streams');
  }

  health(): Promise<Health> {
    return Promise.resolve({ state: 'OK', message: '' });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async run(task: BackendTask): Promise<void> {
    const asked = performance.now();
    try {
      const { decodeImage } = await loadDecoder();
      const start = performance.now();
      const tensor = await decodeImage(task.inputs, task.args, this.limits);
      const timing = {
        queueMs: start - asked,
        transferMs: 0,
        computeMs: performance.now() - start,
        batchSize: 1,
      };
      task.settle({ ok: true, outputs: [{ name: '', tensor }], timing });
    } catch (error) {
      task.settle({ ok: false, error: asAxleError(error) });
    }
  }
}

/** @throws AxleError UNAVAILABLE when sharp is not installed for this system. */
async function loadDecoder(): Promise<typeof Decoder> {
  try {
    return await import('./decode-image.js');
  } catch (error) {
    throw new AxleError(
      'UNAVAILABLE',
      `images cannot be decoded here: ${messageOf(error)}; install sharp for this system (npm install sharp)`,
      { cause: error, retryable: false },
    );
  }
}

/** Without loading it. */
function sharpVersion(): string {
  try {
    const { version } = createRequire(import.meta.url)('sharp/package.json') as { version: string };
    return version;
  } catch {
    return '';
  }
}
