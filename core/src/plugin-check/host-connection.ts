import { ErrorCode } from '../generated/constants.js';
import {
  completionField,
  numbersPerCompletion,
  type NativeBinding,
  type NativeOutput,
} from '../native-binding.js';
import { loadNativeBinding } from '../native-loader.js';
import { faultsText, lostText } from './complaints.js';

/** Levels from which a log line of the plugin host is about a broken rule. */
const warnLevel = 3;

export interface TaskCompletion {
  readonly status: number;
  readonly message: string;
  readonly outputs: readonly NativeOutput[];
  readonly batchSize: number;
  /** As the plugin told them. */
  readonly timesNs: Readonly<Record<'queue_ns' | 'transfer_ns' | 'compute_ns', number>>;
  readonly consumedBytes: number;
  readonly more: boolean;
}

/** What was handed over in one go. */
export interface SubmitUnderTest {
  /** On whose queue or stream it was put: 'cpu-fallback:0'. */
  readonly device: string;
  readonly what: 'tasks' | 'writes';
  readonly count: number;
}

/** How the tasks of a device ended so far. */
export interface DeviceEnds {
  readonly tasks: number;
  /** Of them, those that ended with OK. */
  readonly results: number;
  /** What the last other one said. */
  readonly lastFailure: string;
}

interface PendingTask {
  readonly submit: SubmitUnderTest;
  /** Among those of the submit. */
  readonly place: number;
  readonly settle: (completion: TaskCompletion) => void;
}

const pending = new Map<number, PendingTask>();
/** Lines of the log that are no debugging, each with how often it came. */
const complaints = new Map<string, number>();
const endsOfDevice = new Map<string, DeviceEnds>();
const noEnds: DeviceEnds = { tasks: 0, results: 0, lastFailure: '' };
/** What the plugin host says once it does not log each fault. */
const furtherFaults = /^further faults of this plugin/;
let connection: NativeBinding | undefined;

/** The plugin host of this process: completions of all plugins under test come to one place. */
export function connected(): NativeBinding {
  if (connection !== undefined) return connection;
  connection = loadNativeBinding();
  connection.onLog((level, _plugin, message) => {
    if (level < warnLevel || furtherFaults.test(message)) return;
    complaints.set(message, (complaints.get(message) ?? 0) + 1);
  });
  connection.onCompletions((count, numbers, payloads) => {
    for (let i = 0; i < count; i++) complete(numbers, i * numbersPerCompletion, payloads[i] ?? '');
  });
  return connection;
}

export function completionOf(
  taskId: number,
  submit: SubmitUnderTest,
  place: number,
): Promise<TaskCompletion> {
  return new Promise((settle) => pending.set(taskId, { submit, place, settle }));
}

/** What the plugin host saw of broken rules of the ABI in this process; undefined = nothing. */
export function faultsSeen(): string | undefined {
  const count = connection?.counters().pluginFaults ?? 0;
  return count === 0 ? undefined : faultsText(count, complaints);
}

/** Which tasks are not completed yet; undefined = all are. */
export function outstandingText(): string | undefined {
  const places = new Map<SubmitUnderTest, number[]>();
  for (const { submit, place } of pending.values()) {
    places.set(submit, [...(places.get(submit) ?? []), place]);
  }
  const [first] = places;
  if (first === undefined) return undefined;
  const others = places.size - 1;
  const more = others === 0 ? '' : `; others of ${others} more are outstanding too`;
  return `${lostText(...first)}${more}`;
}

/** How many tasks each device completed in this process. */
export function tasksByDevice(): Readonly<Record<string, number>> {
  return Object.fromEntries([...endsOfDevice].map(([device, { tasks }]) => [device, tasks]));
}

export function endsOn(device: string): DeviceEnds {
  return endsOfDevice.get(device) ?? noEnds;
}

function complete(
  numbers: Float64Array,
  at: number,
  payload: readonly NativeOutput[] | string,
): void {
  const number = (field: number) => numbers[at + field] ?? 0;
  const taskId = number(completionField.taskId);
  const task = pending.get(taskId);
  if (task === undefined) return;
  pending.delete(taskId);
  const status = number(completionField.status);
  const message = typeof payload === 'string' ? payload : '';
  const { tasks, results, lastFailure } = endsOn(task.submit.device);
  const isResult = status === ErrorCode.OK;
  endsOfDevice.set(task.submit.device, {
    tasks: tasks + 1,
    results: results + (isResult ? 1 : 0),
    lastFailure: isResult ? lastFailure : message,
  });
  task.settle({
    status,
    message,
    outputs: typeof payload === 'string' ? [] : payload,
    batchSize: number(completionField.batchSize),
    timesNs: {
      queue_ns: number(completionField.queueNs),
      transfer_ns: number(completionField.transferNs),
      compute_ns: number(completionField.computeNs),
    },
    consumedBytes: number(completionField.consumedBytes),
    more: number(completionField.streamMore) !== 0,
  });
}
