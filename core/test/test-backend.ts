import type {
  Backend,
  BackendStream,
  BackendTask,
  Device,
  Health,
  LoadedModel,
  ModelSource,
  NamedTensor,
  OfferedOp,
  Support,
  SupportQuery,
} from '../src/backend.js';
import { AxleError } from '../src/errors.js';
import type { OpRange } from '../src/op.js';

/** A backend in TypeScript, whose work is a function: for what core does around devices. */
export class TestBackend implements Backend {
  readonly version = '1';
  batches: Backend['batches'] = 'here';
  readonly devices: readonly Device[];
  readonly ops: readonly OfferedOp[];
  readonly batchesSeen: BackendTask[][] = [];
  readonly cancelled: BackendTask[] = [];
  loads = 0;
  unloads = 0;
  loadFailure: AxleError | undefined;
  submitFailure: AxleError | undefined;
  /** Of the next loads, one each. */
  readonly loadFailures: AxleError[] = [];
  /** What a loaded model says it takes. */
  modelBytes = 0;
  /** What each task says it took. */
  computeMs = 1;
  /** Names of the models that are there. */
  readonly loaded: string[] = [];
  /** Loads wait for it. */
  loadGate: Promise<void> = Promise.resolve();
  support: Support = { score: 1, reason: '' };
  itsHealth: Health = { state: 'OK', message: '' };

  /** @param work gives the outputs of a task, or throws an AxleError, for a whole batch at once. */
  constructor(
    readonly name: string,
    ranges: readonly OpRange[],
    private readonly work: (
      batch: readonly BackendTask[],
    ) => Promise<readonly NamedTensor[][]> | readonly NamedTensor[][],
    parallel = 1,
    memoryBytes = 0,
    flags = 7,
  ) {
    this.devices = [
      {
        id: `${name}:0`,
        backend: name,
        index: 0,
        name,
        kind: 'OTHER',
        emulated: false,
        memoryBytes,
        parallel,
      },
    ];
    this.ops = ranges.map((range) => ({ ...range, name: '', flags, batchMax: 0 }));
  }

  supports(_device: Device, _query: SupportQuery): Support {
    return this.support;
  }

  async loadModel(device: Device, source: ModelSource): Promise<LoadedModel> {
    this.loads += 1;
    await this.loadGate;
    const failure = this.loadFailures.shift() ?? this.loadFailure;
    if (failure !== undefined) throw failure;
    this.loaded.push(source.name);
    const memoryBytes = this.modelBytes;
    return { source, device, inputs: [], outputs: [], memoryBytes, handle: undefined };
  }

  unloadModel({ source }: LoadedModel): Promise<void> {
    this.unloads += 1;
    this.loaded.splice(this.loaded.indexOf(source.name), 1);
    return Promise.resolve();
  }

  submit(_device: Device, batch: readonly BackendTask[]): void {
    if (this.submitFailure !== undefined) throw this.submitFailure;
    this.batchesSeen.push([...batch]);
    void this.run(batch);
  }

  cancel(task: BackendTask): void {
    this.cancelled.push(task);
    task.settle({ ok: false, error: new AxleError('CANCELLED', 'stopped') });
  }

  openStream(): BackendStream {
    throw new AxleError('UNIMPLEMENTED', 'no streams');
  }

  health(): Promise<Health> {
    return Promise.resolve(this.itsHealth);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async run(batch: readonly BackendTask[]): Promise<void> {
    await Promise.resolve();
    const timing = { queueMs: 0, transferMs: 0, computeMs: this.computeMs, batchSize: 1 };
    try {
      const outputs = await this.work(batch);
      batch.forEach((task, i) => {
        task.settle({ ok: true, outputs: outputs[i] ?? [], timing });
      });
    } catch (error) {
      for (const task of batch) task.settle({ ok: false, error: error as AxleError });
    }
  }
}
