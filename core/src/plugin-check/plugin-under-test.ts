import {
  completionField,
  numbersPerCompletion,
  type NativeArg,
  type NativeBinding,
  type NativeOutput,
  type NativePluginInfo,
} from '../native-binding.js';
import { loadNativeBinding } from '../native-loader.js';

/** Levels from which a log line of the plugin host is about a broken rule. */
const warnLevel = 3;
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
}

export interface TaskCompletion {
  readonly status: number;
  readonly message: string;
  readonly outputs: readonly NativeOutput[];
  readonly batchSize: number;
  readonly consumedBytes: number;
  readonly more: boolean;
}

export interface SubmittedTask {
  readonly id: number;
  readonly completion: Promise<TaskCompletion>;
}

/** A plugin opened on the plugin host, bare: no scheduler, no retries, nothing that would hide what it does. */
export class PluginUnderTest {
  private constructor(
    private readonly binding: NativeBinding,
    readonly info: NativePluginInfo,
  ) {}

  /** @throws what the plugin host throws: an Error with `status`. */
  static async open(
    path: string,
    options: Readonly<Record<string, string>>,
  ): Promise<PluginUnderTest> {
    const binding = connected();
    return new PluginUnderTest(binding, await binding.pluginOpen(path, options));
  }

  openQueue(device: number): number {
    return this.binding.queueOpen(this.info.pluginId, device);
  }

  closeQueue(queue: number): Promise<void> {
    return this.binding.queueClose(queue);
  }

  supports(device: number, op: number, version: number): number {
    return this.binding.supports(this.info.pluginId, device, op, version, 0, 0, 0, null).score;
  }

  health(device: number) {
    return this.binding.health(this.info.pluginId, device);
  }

  statistics(device: number) {
    return this.binding.statistics(this.info.pluginId, device);
  }

  /** One submit. */
  submit(queue: number, requests: readonly TaskRequest[]): SubmittedTask[] {
    const argsIds: number[] = [];
    const tasks = requests.map((request) => {
      const argsId = request.args === undefined ? 0 : this.binding.argsCreate(request.args);
      if (argsId !== 0) argsIds.push(argsId);
      return this.stage(request, argsId);
    });
    try {
      this.binding.submit(queue);
    } finally {
      for (const id of argsIds) this.binding.argsFree(id);
    }
    return tasks.map((id) => ({ id, completion: completionOf(id) }));
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

  outstanding(): number {
    return this.binding.counters().tasksOutstanding;
  }

  close(): Promise<void> {
    return this.binding.pluginClose(this.info.pluginId);
  }

  private stage(request: TaskRequest, argsId: number): number {
    return this.binding.stage(
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
  }
}

const pending = new Map<number, (completion: TaskCompletion) => void>();
const complaints: string[] = [];
let connection: NativeBinding | undefined;

/** Rules of the ABI that the plugin host saw broken in this process: how often, and what it logged. */
export function faultsSeen(): { readonly count: number; readonly lines: readonly string[] } {
  return { count: connection?.counters().pluginFaults ?? 0, lines: complaints };
}

function completionOf(id: number): Promise<TaskCompletion> {
  return new Promise((resolve) => pending.set(id, resolve));
}

function connected(): NativeBinding {
  if (connection !== undefined) return connection;
  connection = loadNativeBinding();
  connection.onLog((level, _plugin, message) => {
    if (level >= warnLevel) complaints.push(message);
  });
  connection.onCompletions((count, numbers, payloads) => {
    for (let i = 0; i < count; i++) {
      const number = (field: number) => numbers[i * numbersPerCompletion + field] ?? 0;
      const payload = payloads[i] ?? '';
      const settle = pending.get(number(completionField.taskId));
      pending.delete(number(completionField.taskId));
      settle?.({
        status: number(completionField.status),
        message: typeof payload === 'string' ? payload : '',
        outputs: typeof payload === 'string' ? [] : payload,
        batchSize: number(completionField.batchSize),
        consumedBytes: number(completionField.consumedBytes),
        more: number(completionField.streamMore) !== 0,
      });
    }
  });
  return connection;
}
