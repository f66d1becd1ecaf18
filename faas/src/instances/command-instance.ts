import type { AxleError } from 'axle';

import type { FunctionCall } from '../calls/function-call.js';
import { CommandRun, type CommandSpec } from './command-run.js';
import { unavailable } from './instance-end.js';
import type { CallOutcome, Instance, InstanceEvents, RunningCall } from './instance.js';
import type { ProcessUsage } from './process-table.js';

/** A function that is a program, run once for each call. Between calls it is nothing but this. */
export class CommandInstance implements Instance {
  readonly ready = Promise.resolve();
  private readonly runs = new Set<CommandRun>();
  private onQuiet: (() => void) | undefined;
  private stopped: Promise<void> | undefined;

  constructor(
    readonly id: string,
    private readonly spec: CommandSpec,
    private readonly events: InstanceEvents,
  ) {}

  get usage(): ProcessUsage {
    let [memoryBytes, cpus] = [0, 0];
    for (const { usage } of this.runs) {
      memoryBytes += usage.memoryBytes;
      cpus += usage.cpus;
    }
    return { memoryBytes, cpus };
  }

  invoke(call: FunctionCall, outcome: CallOutcome): RunningCall {
    const log = (text: string): void => {
      this.events.log({ instance: this.id, at: new Date(), text });
    };
    const run = new CommandRun(this.spec, call, outcome, log, () => {
      this.runs.delete(run);
      if (this.runs.size === 0) this.onQuiet?.();
    });
    this.runs.add(run);
    return run;
  }

  checkMemory(): void {
    for (const run of this.runs) run.checkMemory();
  }

  stop(graceMs: number): Promise<void> {
    this.stopped ??= this.stopOnce(graceMs);
    return this.stopped;
  }

  private async stopOnce(graceMs: number): Promise<void> {
    const reason: AxleError = unavailable('the instance was stopped');
    if (this.runs.size > 0) {
      const timer = setTimeout(() => {
        for (const run of this.runs) run.cancel(reason);
      }, graceMs);
      await new Promise<void>((resolve) => {
        this.onQuiet = resolve;
      });
      clearTimeout(timer);
    }
    this.events.ended(reason);
  }
}
