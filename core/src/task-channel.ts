import { AsyncResource } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';

import type { DeviceUses } from './device-uses.js';
import type { BackendStream, TaskOutcome, TaskTiming } from './backend.js';
import { AxleError } from './errors.js';
import type { TaskEvent, TaskName } from './task-event.js';

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
