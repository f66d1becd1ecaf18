import type {
  BackendTask,
  LoadedModel,
  NamedTensor,
  OpArgs,
  OpRange,
  TaskOutcome,
  TraceContext,
} from '@axle/core/internal';

import { RemoteCall } from '../client/remote-call.js';

/** A task as its tenant's connection sees it: with the model that was made on that one. */
export class RelayedTask implements BackendTask {
  backendData: unknown = undefined;
  /** Set once its tenant's connection has it. */
  model: LoadedModel | undefined = undefined;
  isCancelled = false;

  constructor(private readonly task: BackendTask) {}

  get range(): OpRange {
    return this.task.range;
  }

  get args(): OpArgs {
    return this.task.args;
  }

  get inputs(): readonly NamedTensor[] {
    return this.task.inputs;
  }

  get outputBytesMax(): number {
    return this.task.outputBytesMax;
  }

  get deadlineAt(): number | undefined {
    return this.task.deadlineAt;
  }

  get priority(): number {
    return this.task.priority;
  }

  get tenant(): string {
    return this.task.tenant;
  }

  get into(): Uint8Array | undefined {
    return this.task.into;
  }

  get trace(): TraceContext | undefined {
    return this.task.trace;
  }

  settle(outcome: TaskOutcome): void {
    this.task.settle(outcome);
  }

  cancel(): void {
    this.isCancelled = true;
    if (this.backendData instanceof RemoteCall) this.backendData.cancel();
  }
}
