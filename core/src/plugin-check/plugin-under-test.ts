import type {
  NativeArg,
  NativeBinding,
  NativeFile,
  NativeModelInfo,
  NativeOpInfo,
  NativePluginInfo,
  NativeSupport,
} from '../native-binding.js';
import { tellParent } from './check-message.js';
import type { GivenArgs } from './given-args.js';
import { completionOf, connected, type TaskCompletion } from './host-connection.js';
import { samplesOf } from './samples/op-samples.js';
import type { OpSample } from './samples/sample.js';
import { StreamUnderTest } from './stream-under-test.js';

/** Outputs of one task may be this large unless a rule says otherwise. */
const outputBytesMax = 256 * 1024 * 1024;

export interface TaskInput {
  readonly name: string | null;
  readonly dtype: number;
  readonly dims: readonly number[];
  readonly data: Uint8Array | readonly Uint8Array[];
}

/** A task as a rule wants it. */
export interface TaskRequest {
  readonly op: number;
  readonly version: number;
  readonly first?: number;
  readonly last?: number;
  readonly args?: readonly NativeArg[];
  readonly modelId?: number;
  readonly inputs: readonly TaskInput[];
  readonly outputBytesMax?: number;
  /** Time left, milliseconds. */
  readonly deadlineMs?: number;
  /** Cancelled before the plugin has it, which so sees it from the start. */
  readonly cancelled?: boolean;
}

/** What a model is loaded from. */
export interface ModelSource {
  readonly name: string;
  readonly format: string;
  readonly files: readonly NativeFile[];
}

export interface SubmittedTask {
  readonly id: number;
  readonly completion: Promise<TaskCompletion>;
}

/** A plugin opened on the plugin host, bare: no scheduler, no retries, nothing that would hide what it does. */
export class PluginUnderTest {
  private readonly deviceOfQueue = new Map<number, string>();

  private constructor(
    private readonly binding: NativeBinding,
    readonly info: NativePluginInfo,
    private readonly args: GivenArgs,
  ) {}

  /** @throws what the plugin host throws: an Error with `status`. */
  static async open(
    path: string,
    options: Readonly<Record<string, string>>,
    args: GivenArgs = {},
  ): Promise<PluginUnderTest> {
    const binding = connected();
    return new PluginUnderTest(binding, await binding.pluginOpen(path, options), args);
  }

  /** Of all its ops. */
  samples(): OpSample[] {
    return this.info.ops.flatMap((op) => this.samplesOf(op));
  }

  samplesOf(op: NativeOpInfo): OpSample[] {
    return samplesOf(op, this.args);
  }

  /** As a client sees it: 'cpu-fallback:0'. */
  deviceName(device: number): string {
    return `${this.info.name}:${this.info.devices[device]?.id ?? device}`;
  }

  openQueue(device: number): number {
    const queue = this.binding.queueOpen(this.info.pluginId, device);
    this.deviceOfQueue.set(queue, this.deviceName(device));
    return queue;
  }

  async closeQueue(queue: number): Promise<void> {
    await this.binding.queueClose(queue);
    this.deviceOfQueue.delete(queue);
  }

  /** What the device says to this task, which would run `model`. */
  supports(
    device: number,
    { op, version, first = 0, last = 0, args }: TaskRequest,
    model: ModelSource | null,
  ): NativeSupport {
    return this.withArgs(args, (argsId) =>
      this.binding.supports(
        this.info.pluginId,
        device,
        op,
        version,
        first,
        last,
        argsId,
        model === null ? null : { ...model },
      ),
    );
  }

  health(device: number) {
    return this.binding.health(this.info.pluginId, device);
  }

  statistics(device: number) {
    return this.binding.statistics(this.info.pluginId, device);
  }

  /** @throws what the plugin host throws: an Error with `status`. */
  loadModel(device: number, { name, format, files }: ModelSource): Promise<NativeModelInfo> {
    return this.binding.modelLoad(this.info.pluginId, device, name, format, files, []);
  }

  unloadModel(modelId: number): Promise<void> {
    return this.binding.modelUnload(modelId);
  }

  /** @throws what the plugin host throws: an Error with `status`. */
  openStream(device: number, { op, version, args }: TaskRequest): StreamUnderTest {
    const id = this.withArgs(args, (argsId) =>
      this.binding.streamOpen(this.info.pluginId, device, op, version, argsId),
    );
    return new StreamUnderTest(this.binding, id, this.deviceName(device));
  }

  /** One submit. */
  submit(queue: number, requests: readonly TaskRequest[]): SubmittedTask[] {
    const argsIds = new Map<readonly NativeArg[], number>();
    const ids: number[] = [];
    try {
      for (const request of requests) ids.push(this.stage(request, argsIds));
      this.binding.submit(queue);
    } catch (error) {
      this.binding.unstage();
      throw error;
    } finally {
      for (const id of argsIds.values()) this.binding.argsFree(id);
    }
    const device = this.deviceOfQueue.get(queue) ?? '';
    const submit = { device, what: 'tasks', count: ids.length } as const;
    return ids.map((id, place) => ({ id, completion: completionOf(id, submit, place) }));
  }

  /** One task alone. */
  run(queue: number, request: TaskRequest): Promise<TaskCompletion> {
    const [task] = this.submit(queue, [request]);
    if (task === undefined) throw new Error('nothing was submitted');
    return task.completion;
  }

  cancel(task: SubmittedTask): void {
    this.binding.cancel(task.id);
  }

  /** Says when it begins and ends: the process may have to be ended meanwhile. */
  async close(): Promise<void> {
    await tellParent({ closing: true });
    await this.binding.pluginClose(this.info.pluginId);
    await tellParent({ closing: false });
  }

  private withArgs<T>(args: readonly NativeArg[] | undefined, work: (argsId: number) => T): T {
    if (args === undefined) return work(0);
    const argsId = this.binding.argsCreate(args);
    try {
      return work(argsId);
    } finally {
      this.binding.argsFree(argsId);
    }
  }

  private stage(request: TaskRequest, argsIds: Map<readonly NativeArg[], number>): number {
    const { args } = request;
    let argsId = 0;
    if (args !== undefined) {
      argsId = argsIds.get(args) ?? this.binding.argsCreate(args);
      argsIds.set(args, argsId);
    }
    const id = this.binding.stage(
      request.op,
      request.version,
      request.first ?? 0,
      request.last ?? 0,
      request.modelId ?? 0,
      argsId,
      request.inputs.flatMap(({ name, dtype, dims, data }) => [name, dtype, dims, data]),
      request.outputBytesMax ?? outputBytesMax,
      request.deadlineMs ?? 0,
    );
    if (request.cancelled === true) this.binding.cancel(id);
    return id;
  }
}
