import { AsyncResource } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';

import type { DeviceUses } from './device-uses.js';
import type { BackendStream, TaskOutcome, TaskTiming } from './backend.js';
import { AxleError } from './errors.js';
import type { ErrorCodeName } from './generated/constants.js';

/** Which task it is that an event tells of. */
export interface TaskName {
  /** The op of the call: 'classify', 'compress', 'vendor.example/blur'. */
  readonly op: string;
  /** What of it the task does: 'infer', or for several steps in one task 'preprocess..topk'. */
  readonly step: string;
  readonly device: string;
  /** Its name; undefined where the task runs no model. */
  readonly model: string | undefined;
  readonly tenant: string;
}

/**
 * What subscribers of the channel `axle.task` get: one event for each task, when it settles, in the asynchronous context
 * of its call; a write to a codec's stream is a task too. Nothing of what a task works on is in it.
 */
export interface TaskEvent extends TaskName {
  readonly code: ErrorCodeName;
  /** Waiting for the device, in Axle's queue and, unless the task failed, in the device's own; milliseconds. */
  readonly queueMs: number;
  /** What devices tell of tasks that succeed. */
  readonly ran: Pick<TaskTiming, 'transferMs' | 'computeMs' | 'batchSize'> | undefined;
}

const taskChannel = channel('axle.task');

/** Publishes how a task ended. */
export type TaskPublisher = (name: TaskName, outcome: TaskOutcome, waitedMs: number) => void;

/** Made where a call is: it publishes in that context, wherever a task ends. Undefined while nobody listens. */
export function taskPublisher(): TaskPublisher | undefined {
  if (!taskChannel.hasSubscribers) return undefined;
  return AsyncResource.bind((name: TaskName, outcome: TaskOutcome, waitedMs: number) => {
    taskChannel.publish(
      outcome.ok ? success(name, outcome.timing, waitedMs) : failure(name, outcome.error, waitedMs),
    );
  });
}

/** The stream, each of whose writes is published. */
export function publishingStream(
  stream: BackendStream,
  name: TaskName,
  uses: DeviceUses,
): BackendStream {
  const whenReady = stream.whenReady?.bind(stream);
  return {
    ...(whenReady && { whenReady }),
    async write(data, end, outputBytesMax) {
      try {
        const result = await stream.write(data, end, outputBytesMax);
        if (taskChannel.hasSubscribers) taskChannel.publish(success(name, result.timing, 0));
        const { computeMs, batchSize } = result.timing;
        uses.listener?.({ ...name, deviceMs: computeMs / batchSize });
        return result;
      } catch (error) {
        if (taskChannel.hasSubscribers && error instanceof AxleError) {
          taskChannel.publish(failure(name, error, 0));
        }
        throw error;
      }
    },
    close: () => stream.close(),
  };
}

function success(name: TaskName, timing: TaskTiming, waitedMs: number): TaskEvent {
  const { queueMs, transferMs, computeMs, batchSize } = timing;
  const ran = { transferMs, computeMs, batchSize };
  return { ...name, code: 'OK', queueMs: waitedMs + queueMs, ran };
}

function failure(name: TaskName, error: AxleError, waitedMs: number): TaskEvent {
  return { ...name, code: error.code, queueMs: waitedMs, ran: undefined };
}
