import type { Duplex } from 'node:stream';

import { AxleError } from 'axle';

import type { FunctionCall } from '../calls/function-call.js';
import { withDetails } from '../calls/function-failure.js';
import type { CallOutcome, RunningCall } from '../instances/instance.js';
import { ChannelCall } from './channel-call.js';
import {
  callNumberMax,
  FrameReader,
  frameOf,
  noFrame,
  payloadBytesMax,
  setupBytesMax,
  type Frame,
} from './frame.js';
import { FrameWriter } from './frame-writer.js';
import { readFailure } from './read-failure.js';

export interface CallChannelOptions {
  /** For one call, milliseconds; past it, it fails DEADLINE_EXCEEDED. */
  readonly timeoutMs: number;
  /** After that, milliseconds until `hung` or `retire`. */
  readonly graceMs: number;
  /** Whether the instance may not hear: a call of it is past its time, and it has not said that it knows. It is to get no call. */
  readonly deaf: (isDeaf: boolean) => void;
  /** The instance does not even hear that a call is cancelled: it is to be killed. */
  readonly hung: () => void;
  /** A call runs on past its time though it is cancelled, or no more calls can be numbered. */
  readonly retire: (reason: string) => void;
  /** What came is no frame: the instance is to be killed. */
  readonly broken: (error: AxleError) => void;
}

/**
 * Calls to an instance over any byte stream, as the front end has it. One timer watches the deadlines of all calls: they
 * have the same time each, and so end in the order in which they began.
 */
export class CallChannel {
  /** Settles with READY, or what the instance says instead. */
  readonly ready: Promise<void>;
  private readonly writer: FrameWriter;
  private readonly running = new Map<number, ChannelCall>();
  /** Past their deadline, and not ended. */
  private readonly late = new Map<number, ChannelCall>();
  private nextNumber = 1;
  private timer: NodeJS.Timeout | undefined;
  private end: AxleError | undefined;
  private settleReady!: { resolve: () => void; reject: (error: AxleError) => void };
  private onQuiet: (() => void) | undefined;
  private isDeaf = false;
  /** What came was no frame: what comes after it, until the instance is gone, is nothing either. */
  private isBroken = false;

  constructor(
    private readonly stream: Duplex,
    private readonly options: CallChannelOptions,
  ) {
    this.ready = new Promise((resolve, reject) => {
      this.settleReady = { resolve, reject };
    });
    this.ready.catch(() => undefined);
    this.writer = new FrameWriter(stream);
    const reader = new FrameReader((frame) => {
      this.take(frame);
    });
    stream.on('data', (chunk: Buffer) => {
      if (this.end !== undefined || this.isBroken) return;
      try {
        reader.push(chunk);
      } catch (error) {
        this.isBroken = true;
        this.options.broken(error as AxleError);
      }
    });
    // Whoever has the instance knows better why it ended.
    stream.on('error', () => undefined);
  }

  /** Calls that the instance has, but for those that are past their time. */
  get callCount(): number {
    return this.running.size;
  }

  /** @throws AxleError FAILED_PRECONDITION for more than `setupBytesMax`. */
  setUp(setup: object): void {
    const payload = Buffer.from(JSON.stringify(setup));
    if (payload.byteLength > setupBytesMax) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        `secrets and environment of a function take ${payload.byteLength} bytes on their way, and ${setupBytesMax} are the most`,
      );
    }
    for (let at = 0; at < payload.byteLength; at += payloadBytesMax) {
      const part = payload.subarray(at, at + payloadBytesMax);
      this.writer.write(frameOf('SETUP', 0, part, at + part.byteLength === payload.byteLength));
    }
  }

  invoke(call: FunctionCall, outcome: CallOutcome): RunningCall {
    const { timeoutMs } = this.options;
    const number = this.nextNumber++;
    const deadlineAt = performance.now() + timeoutMs;
    const running = new ChannelCall(number, call, outcome, this.writer, deadlineAt);
    if (number === callNumberMax) this.options.retire('it has had as many calls as have numbers');
    try {
      if (this.end !== undefined) throw this.end;
      if (number > callNumberMax) throw new AxleError('UNAVAILABLE', 'the instance is spent');
      running.send();
    } catch (error) {
      queueMicrotask(() => {
        running.end(error);
      });
      return running;
    }
    this.running.set(number, running);
    if (this.timer === undefined) this.watchAfter(timeoutMs);
    return running;
  }

  /** Settles when no call runs any more. */
  async quiet(): Promise<void> {
    if (this.running.size === 0) return;
    await new Promise<void>((resolve) => {
      this.onQuiet = resolve;
    });
  }

  /** The instance is gone: whatever it has not answered fails. */
  close(reason: AxleError): void {
    if (this.end !== undefined) return;
    this.end = reason;
    clearTimeout(this.timer);
    this.settleReady.reject(reason);
    const calls = [...this.late.values(), ...this.running.values()];
    this.late.clear();
    this.running.clear();
    for (const call of calls) call.end(reason);
    this.onQuiet?.();
    this.stream.destroy();
  }

  private take(frame: Frame): void {
    if (this.end !== undefined) return;
    if (frame.call === 0) {
      this.takeOfInstance(frame);
      return;
    }
    const { running, late } = this;
    const call = running.get(frame.call) ?? late.get(frame.call);
    if (call === undefined) {
      // One that was given up meanwhile.
      if (frame.call >= this.nextNumber) throw noFrame();
      return;
    }
    if (!call.take(frame)) {
      if (frame.type === 'CANCEL') this.tellIfDeaf();
      return;
    }
    if (!running.delete(frame.call)) late.delete(frame.call);
    // Before it is free of the call, and is given another.
    this.tellIfDeaf();
    call.free();
    if (running.size === 0) this.onQuiet?.();
  }

  private tellIfDeaf(): void {
    let isDeaf = false;
    for (const call of this.late.values()) isDeaf ||= !call.isHeard;
    if (isDeaf === this.isDeaf) return;
    this.isDeaf = isDeaf;
    this.options.deaf(isDeaf);
  }

  private takeOfInstance({ type, payload }: Frame): void {
    if (type === 'READY') this.settleReady.resolve();
    else if (type === 'FAILED') {
      const { error, thrown } = readFailure(payload);
      const details = thrown === undefined ? undefined : { kind: 'threw' as const, ...thrown };
      this.settleReady.reject(withDetails(error, details));
    } else throw noFrame();
  }

  private watchAfter(ms: number): void {
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.watch();
    }, ms);
    this.timer.unref();
  }

  private watch(): void {
    const now = performance.now();
    const { timeoutMs, graceMs, hung, retire } = this.options;
    for (const call of this.running.values()) {
      if (call.deadlineAt > now) break;
      this.running.delete(call.number);
      this.late.set(call.number, call);
      // Before its caller hears, who may call again.
      this.tellIfDeaf();
      const message = `the function did not answer within ${timeoutMs} ms, its timeoutMs`;
      const reason = AxleError.expected('DEADLINE_EXCEEDED', message);
      call.cancel(withDetails(reason, { kind: 'timedOut' }));
    }
    for (const call of this.late.values()) {
      if (call.deadlineAt + graceMs > now) break;
      this.late.delete(call.number);
      // Before it is free of the call, and is given another.
      if (!call.isHeard) hung();
      else retire(`a handler runs on after its ${timeoutMs} ms; it should heed context.signal`);
      call.free();
    }
    if (this.running.size === 0) this.onQuiet?.();
    this.watchNext(now);
  }

  private watchNext(now: number): void {
    const [running] = this.running.values();
    const [late] = this.late.values();
    const nextAt = Math.min(
      running?.deadlineAt ?? Infinity,
      (late?.deadlineAt ?? Infinity) + this.options.graceMs,
    );
    if (nextAt < Infinity && this.end === undefined) {
      this.watchAfter(Math.max(1, Math.ceil(nextAt - now)));
    }
  }
}
