import {
  completionField,
  numbersPerCompletion,
  type NativeBinding,
  type NativeOutput,
} from '../native-binding.js';
import { loadNativeBinding } from '../native-loader.js';

/** Levels from which a log line of the plugin host is about a broken rule. */
const warnLevel = 3;

export interface TaskCompletion {
  readonly status: number;
  readonly message: string;
  readonly outputs: readonly NativeOutput[];
  readonly batchSize: number;
  readonly consumedBytes: number;
  readonly more: boolean;
}

interface PendingTask {
  readonly device: string;
  readonly settle: (completion: TaskCompletion) => void;
}

const pending = new Map<number, PendingTask>();
const complaints: string[] = [];
const tasksOfDevice = new Map<string, number>();
let connection: NativeBinding | undefined;

/** The plugin host of this process: completions of all plugins under test come to one place. */
export function connected(): NativeBinding {
  if (connection !== undefined) return connection;
  connection = loadNativeBinding();
  connection.onLog((level, _plugin, message) => {
    if (level >= warnLevel) complaints.push(message);
  });
  connection.onCompletions((count, numbers, payloads) => {
    for (let i = 0; i < count; i++) complete(numbers, i * numbersPerCompletion, payloads[i] ?? '');
  });
  return connection;
}

/** @param device on whose queue or stream the task was put: 'cpu-fallback:0'. */
export function completionOf(taskId: number, device: string): Promise<TaskCompletion> {
  return new Promise((settle) => pending.set(taskId, { device, settle }));
}

/** Rules of the ABI that the plugin host saw broken in this process: how often, and what it logged. */
export function faultsSeen(): { readonly count: number; readonly lines: readonly string[] } {
  return { count: connection?.counters().pluginFaults ?? 0, lines: complaints };
}

/** How many tasks each device completed in this process. */
export function tasksByDevice(): Readonly<Record<string, number>> {
  return Object.fromEntries(tasksOfDevice);
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
  tasksOfDevice.set(task.device, (tasksOfDevice.get(task.device) ?? 0) + 1);
  task.settle({
    status: number(completionField.status),
    message: typeof payload === 'string' ? payload : '',
    outputs: typeof payload === 'string' ? [] : payload,
    batchSize: number(completionField.batchSize),
    consumedBytes: number(completionField.consumedBytes),
    more: number(completionField.streamMore) !== 0,
  });
}
