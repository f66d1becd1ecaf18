import type { ChildProcess } from 'node:child_process';
import type { Duplex, Readable } from 'node:stream';

import { AxleError } from 'axle';

import type { FunctionCall } from '../calls/function-call.js';
import { CallChannel } from '../channel/call-channel.js';
import { exitOf, overMemory, unavailable } from './instance-end.js';
import type { CallOutcome, Instance, InstanceEvents, RunningCall } from './instance.js';
import { PrintedLines } from './printed-lines.js';
import { killGroup } from './process-group.js';
import { memoryBytesOf } from './process-memory.js';

/** Time for a process to end when its channel does, milliseconds. */
const endMsMax = 500;
/** V8 says so before it aborts. */
const heapIsFull = /heap out of memory/;

export interface ProcessInstanceOptions {
  readonly id: string;
  readonly memoryMiB: number;
  readonly timeoutMs: number;
  /** For a call to end after it was cancelled, milliseconds. */
  readonly graceMs: number;
  /** Until it takes calls, milliseconds. */
  readonly startMsMax: number;
}

/** A function in a process group of its own. */
export class ProcessInstance implements Instance {
  readonly id: string;
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  private readonly channel: CallChannel;
  private readonly startTimer: NodeJS.Timeout;
  private hasEnded = false;
  private heapFull = false;
  /** Why it is ended, where it does not end by itself. */
  private verdict: AxleError | undefined;

  /** @param child as `spawnGroup` gives it, with a channel. */
  constructor(
    private readonly child: ChildProcess,
    private readonly options: ProcessInstanceOptions,
    private readonly events: InstanceEvents,
    setup: object,
  ) {
    const { id, timeoutMs, graceMs, startMsMax } = options;
    this.id = id;
    this.channel = new CallChannel(child.stdio[3] as Duplex, {
      timeoutMs,
      graceMs,
      hung: () => {
        this.kill(unavailable(`a handler ran on for more than ${timeoutMs} ms, its timeoutMs`));
      },
      retire: (reason) => {
        events.retire(reason);
      },
      broken: (error) => {
        this.kill(new AxleError('INTERNAL', `the instance broke its channel: ${error.message}`));
      },
    });
    const log = (text: string): void => {
      events.log({ instance: id, at: new Date(), text });
    };
    this.listen(log);
    this.ended = new Promise((resolve) => {
      const end = (): void => {
        if (this.hasEnded) return;
        this.end(log);
        resolve();
      };
      child.once('exit', end);
      child.once('error', (error) => {
        this.verdict ??= unavailable(`its process cannot be started: ${error.message}`);
        end();
      });
    });
    this.startTimer = setTimeout(() => {
      this.kill(unavailable(`it was not ready within ${startMsMax} ms`));
    }, startMsMax);
    this.ready = this.watchStart();
    try {
      this.channel.setUp(setup);
    } catch (error) {
      this.kill(error as AxleError);
    }
  }

  get memoryBytes(): number {
    return this.hasEnded || this.child.pid === undefined ? 0 : memoryBytesOf(this.child.pid);
  }

  invoke(call: FunctionCall, outcome: CallOutcome): RunningCall {
    return this.channel.invoke(call, outcome);
  }

  async stop(graceMs: number): Promise<void> {
    const timer = setTimeout(() => {
      this.kill(unavailable('the instance was stopped'));
    }, graceMs);
    await Promise.race([this.channel.quiet(), this.ended]);
    clearTimeout(timer);
    if (!this.hasEnded) {
      this.verdict ??= unavailable('the instance was stopped');
      this.channel.close(this.verdict);
      const late = setTimeout(() => {
        this.kill(this.verdict as AxleError);
      }, endMsMax);
      await this.ended;
      clearTimeout(late);
    }
    await this.ended;
  }

  /** Ends it when it is over its memory. */
  checkMemory(): void {
    const { memoryMiB } = this.options;
    const usedMiB = Math.ceil(this.memoryBytes / 1024 ** 2);
    if (usedMiB > memoryMiB) this.kill(overMemory(`used ${usedMiB} MiB of memory`, memoryMiB));
  }

  private kill(verdict: AxleError): void {
    if (this.hasEnded) return;
    if (this.verdict === undefined) {
      this.verdict = verdict;
      // Until it is gone, it is to be given no more calls.
      this.events.retire(verdict.message);
    }
    if (this.child.pid !== undefined) killGroup(this.child.pid);
  }

  private async watchStart(): Promise<void> {
    try {
      await this.channel.ready;
    } catch (error) {
      this.kill(error as AxleError);
      throw error;
    } finally {
      clearTimeout(this.startTimer);
    }
  }

  private listen(log: (text: string) => void): void {
    const printed = new PrintedLines((text) => {
      this.heapFull ||= heapIsFull.test(text);
      log(text);
    });
    const stream = this.child.stdio[1] as Readable;
    stream.on('data', (chunk: Buffer) => {
      printed.push(chunk);
    });
    stream.on('error', () => undefined);
    stream.on('close', () => {
      printed.end();
    });
    (this.child.stdio[4] as Duplex).on('error', () => undefined);
  }

  private end(log: (text: string) => void): void {
    const { child, events, options } = this;
    this.hasEnded = true;
    clearTimeout(this.startTimer);
    // What it started, and who watched the group.
    if (child.pid !== undefined) killGroup(child.pid);
    (child.stdio[4] as Duplex).destroy();
    if (this.heapFull)
      this.verdict ??= overMemory('filled the heap that goes with its memory', options.memoryMiB);
    const reason = this.verdict ?? unavailable(`the instance ended: ${exitOf(child)}`);
    log(`(ended: ${reason.message})`);
    events.ended(reason);
    this.channel.close(reason);
  }
}
