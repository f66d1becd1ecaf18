import { AxleError } from 'axle';

import type { FunctionCall } from '../calls/function-call.js';
import { CallChannel } from '../channel/call-channel.js';
import type { Carrier, CarrierEnd } from './carrier.js';
import { exited, overMemory, unavailable } from './instance-end.js';
import type { CallOutcome, Instance, InstanceEvents, RunningCall } from './instance.js';
import { PrintedLines } from './printed-lines.js';
import type { ProcessUsage } from './process-table.js';

/** Time for a carrier to end when its channel does, milliseconds. */
const endMsMax = 500;

export interface ChannelInstanceOptions {
  readonly id: string;
  readonly memoryMiB: number;
  readonly timeoutMs: number;
  /** For a call to end after it was cancelled, milliseconds. */
  readonly graceMs: number;
  /** Until it takes calls, milliseconds. */
  readonly startMsMax: number;
}

/** A function in a process or thread of its own, with a channel to it. */
export class ChannelInstance implements Instance {
  readonly id: string;
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  private readonly channel: CallChannel;
  private readonly startTimer: NodeJS.Timeout;
  private isReady = false;
  private hasEnded = false;
  /** Why it is ended, where it does not end by itself. */
  private verdict: AxleError | undefined;

  constructor(
    private readonly carrier: Carrier,
    private readonly options: ChannelInstanceOptions,
    private readonly events: InstanceEvents,
    setup: object,
  ) {
    const { id, timeoutMs, graceMs, startMsMax } = options;
    this.id = id;
    this.channel = new CallChannel(carrier.channel, {
      timeoutMs,
      graceMs,
      deaf: events.deaf,
      hung: () => {
        this.kill(exited(`a handler ran on for more than ${timeoutMs} ms, its timeoutMs`));
      },
      retire: (reason) => {
        events.retire(unavailable(reason));
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
      carrier.onEnd((end) => {
        this.end(end, log);
        resolve();
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

  get usage(): ProcessUsage | undefined {
    return this.carrier.usage;
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
    const usedMiB = Math.ceil((this.usage?.memoryBytes ?? 0) / 1024 ** 2);
    if (usedMiB > memoryMiB) this.kill(overMemory(`used ${usedMiB} MiB of memory`, memoryMiB));
  }

  private kill(verdict: AxleError): void {
    if (this.hasEnded) return;
    if (this.verdict === undefined) {
      this.verdict = verdict;
      // Until it is gone, it is to be given no more calls.
      if (this.isReady) this.events.retire(verdict);
    }
    this.carrier.kill();
  }

  private async watchStart(): Promise<void> {
    try {
      await this.channel.ready;
      this.isReady = true;
    } catch (error) {
      this.kill(error as AxleError);
      throw error;
    } finally {
      clearTimeout(this.startTimer);
    }
  }

  private listen(log: (text: string) => void): void {
    for (const stream of this.carrier.printed) {
      const printed = new PrintedLines(log);
      stream.on('data', (chunk: Buffer) => {
        printed.push(chunk);
      });
      stream.on('error', () => undefined);
      stream.on('close', () => {
        printed.end();
      });
    }
  }

  private end({ how, hasFullHeap }: CarrierEnd, log: (text: string) => void): void {
    const { events, options } = this;
    this.hasEnded = true;
    clearTimeout(this.startTimer);
    if (hasFullHeap) {
      this.verdict ??= overMemory('filled the heap that goes with its memory', options.memoryMiB);
    }
    const reason = this.verdict ?? exited(`the instance ended: ${how}`);
    log(`(ended: ${reason.message})`);
    events.ended(reason);
    this.channel.close(reason);
  }
}
