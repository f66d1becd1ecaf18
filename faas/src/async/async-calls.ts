import { setMaxListeners } from 'node:events';

import { AxleError } from 'axle';

import { asAxleError } from '../as-axle-error.js';
import type { Calls, FunctionCall } from '../calls/function-call.js';
import { functionFailureOf } from '../calls/function-failure.js';
import { isOfFullQueue } from '../calls/pending-call.js';
import { wholeBody } from '../calls/whole-body.js';
import { httpStatusOf, statusOfCode } from '../doors/error-status.js';
import { failureLog } from '../doors/failure-log.js';
import type { Deployment } from '../functions/deployment.js';
import {
  asyncAnswerBytesMax,
  asyncConcurrencyMax,
  attemptsMax,
  callbacksMax,
  queuedBytesMax,
  queuedCallsMax,
} from './async-limits.js';
import { backOffMs } from './back-off.js';
import type { CallNumber, CallStore } from './call-store.js';
import { deliverByHttp, type Deliver } from './callback.js';
import { Lane } from './lane.js';
import type { KeptAnswer, QueuedCall } from './queued-call.js';
import { recordBytesOf, Tickets, type Ticket } from './tickets.js';

export interface AsyncCallsOptions {
  readonly calls: Calls;
  readonly deploymentOf: (name: string) => Deployment | undefined;
  /** What the operator is told. */
  readonly log: (message: string) => void;
  readonly deliver?: Deliver;
  readonly backOffMs?: (attempts: number) => number;
  readonly attemptsMax?: number;
  readonly callsMax?: number;
  readonly bytesMax?: number;
  readonly now?: () => Date;
}

/** A call that is to be accepted. */
export type NewCall = Omit<
  QueuedCall,
  'acceptedAt' | 'attempts' | 'answer' | 'failure' | 'givenUp'
>;

/** A call that was given up. */
export interface DeadLetter {
  readonly number: CallNumber;
  readonly call: QueuedCall;
}

type Step = 'call' | 'callback';

interface Outcome {
  readonly answer: KeptAnswer;
  readonly body: Uint8Array;
  /** Undefined: it went well. */
  readonly failure: string | undefined;
  readonly isWorthAnother: boolean;
  /** There was no room: no try at all. */
  readonly isFull: boolean;
}

/** What OpenFaaS tries again, too. */
const transientStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/**
 * Calls that were accepted and are on disk until their answer was told, or they were given up: at least once, and once
 * unless this process ends between an answer and its record.
 */
export class AsyncCalls {
  private readonly tickets = new Tickets();
  private readonly lanes = new Map<string, Lane<Ticket>>();
  private readonly callbacks = new Lane<() => Promise<void>>(
    () => callbacksMax,
    (tell) => tell(),
  );
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly working = new Set<Promise<void>>();
  /** Aborted when those at work have no more time. */
  private readonly closing = new AbortController();
  private isDraining = false;

  constructor(
    private readonly store: CallStore,
    private readonly options: AsyncCallsOptions,
  ) {
    // One for each call at work.
    setMaxListeners(0, this.closing.signal);
  }

  /** Goes on with what was accepted before. */
  async start(): Promise<void> {
    for await (const { number, call } of this.store.all()) await this.takeBack(number, call);
  }

  get counts(): { readonly waiting: number; readonly dead: number } {
    return this.tickets.counts;
  }

  /** On disk. */
  get bytes(): number {
    return this.tickets.bytes;
  }

  /**
   * Settles when the call is on disk. A call of the same id and function that is still to be done is the same call.
   *
   * @throws AxleError RESOURCE_EXHAUSTED when the queue is full; UNAVAILABLE once it closes, and while the disk takes
   *   nothing.
   */
  accept(call: NewCall, body: Uint8Array): Promise<void> {
    const before = this.tickets.acceptedAs(call);
    if (before !== undefined) return before;
    if (this.isDraining) throw closes();
    this.checkRoom(recordBytesOf(call) + body.byteLength);
    const { now = () => new Date() } = this.options;
    const ticket = this.tickets.add(call, body.byteLength);
    const queued: QueuedCall = { ...call, acceptedAt: now().toISOString(), attempts: 0 };
    const stored = this.store.add(ticket.number, queued, body).then(
      () => this.lane('call', ticket).push(ticket),
      (error: unknown) => {
        this.tickets.drop(ticket);
        throw error;
      },
    );
    this.tickets.accept(ticket, stored);
    return stored;
  }

  private checkRoom(bytes: number): void {
    const { callsMax = queuedCallsMax, bytesMax = queuedBytesMax } = this.options;
    const { size } = this.tickets;
    if (size < callsMax && this.bytes + bytes <= bytesMax) return;
    const { dead } = this.counts;
    const advice = dead > 0 ? `; ${dead} of them were given up: see /axle/v1/dead-letters` : '';
    throw AxleError.expected(
      'RESOURCE_EXHAUSTED',
      `${size} calls wait on disk, and there is no room for more${advice}`,
    );
  }

  /** Oldest first. @param max how many at most @throws AxleError UNAVAILABLE while the disk takes nothing */
  async deadLetters(max: number): Promise<DeadLetter[]> {
    this.store.check();
    const letters: DeadLetter[] = [];
    for (const ticket of this.tickets.dead(max)) {
      const call = await this.store.find(ticket.number);
      // Otherwise somebody took it away meanwhile.
      if (call?.givenUp !== undefined) letters.push({ number: ticket.number, call });
    }
    return letters;
  }

  /**
   * Tries a call again that was given up, from the step that failed. Of several that ask for it at once, one does it.
   *
   * @throws AxleError NOT_FOUND; ALREADY_EXISTS while another call with its id is to be done.
   */
  async redrive(number: CallNumber): Promise<void> {
    const ticket = this.deadTicket(number);
    if (this.tickets.acceptedAs(ticket) !== undefined) {
      throw AxleError.expected(
        'ALREADY_EXISTS',
        `another call of ${ticket.functionName} with the id ${ticket.id} is to be done; try dead letter ${number} again after it`,
      );
    }
    let step: Step = 'call';
    const stored = this.leaveDead(ticket, async () => {
      const { givenUp, answer, ...rest } = await this.store.read(number);
      step = givenUp?.step ?? 'call';
      await this.store.redriven(
        number,
        { ...rest, failure: undefined, attempts: 0, ...(step === 'callback' ? { answer } : {}) },
        step === 'callback',
      );
    });
    // From now on it is the call that has the id, also for who sends it once more before it is on disk.
    this.tickets.accept(ticket, stored);
    try {
      await stored;
    } catch (error) {
      this.tickets.forgetId(ticket);
      throw error;
    }
    ticket.state = 'live';
    if (step === 'call') this.tickets.setBytes(ticket, 'answer', 0);
    this.lane(step, ticket).push(ticket);
  }

  /** Of several that ask for it at once, one does it. @throws AxleError NOT_FOUND */
  async discard(number: CallNumber): Promise<void> {
    const ticket = this.deadTicket(number);
    await this.leaveDead(ticket, () => this.store.remove(number));
    this.tickets.drop(ticket);
  }

  /**
   * Takes nothing new. Calls that are at work have so long, milliseconds, to end, their callbacks included; what is not
   * done then, or was not begun, is left on disk for the next start.
   */
  async close(graceMs: number): Promise<void> {
    this.isDraining = true;
    for (const timer of this.timers) clearTimeout(timer);
    const late = setTimeout(() => {
      this.closing.abort(closes());
      this.store.stopWaiting(closes());
    }, graceMs);
    await this.tickets.stored();
    await Promise.all(this.working);
    clearTimeout(late);
    await this.store.close();
  }

  private async takeBack(number: CallNumber, call: QueuedCall): Promise<void> {
    const [body, answer] = [
      await this.store.body(number, 'body'),
      await this.store.body(number, 'answer'),
    ];
    const ticket = this.tickets.add(call, body.byteLength, answer.byteLength, number);
    if (call.givenUp !== undefined) {
      ticket.state = 'dead';
      return;
    }
    this.tickets.accept(ticket, Promise.resolve());
    // After whoever opens this has done the rest of its start.
    setImmediate(() =>
      this.lane(call.answer === undefined ? 'call' : 'callback', ticket).push(ticket),
    );
  }

  private async work(step: Step, ticket: Ticket): Promise<void> {
    if (this.isDraining) return;
    const working = (step === 'call' ? this.run(ticket) : this.tell(ticket)).catch(
      (error: unknown) => {
        if (this.closing.signal.aborted) return;
        // It could not be read, or this class failed. What could not be written waits in the store.
        this.options.log(
          `asynchronous call ${ticket.id} of ${ticket.functionName} is stuck: ${(error as Error).message}`,
        );
        if (!isLost(error)) this.later(step, ticket, this.attemptsMax);
      },
    );
    this.working.add(working);
    await working;
    this.working.delete(working);
  }

  private async run(ticket: Ticket): Promise<void> {
    const { number } = ticket;
    const call = await this.store.read(number);
    const outcome = await this.invoke(call, await this.store.body(number, 'body'));
    if (this.closing.signal.aborted) return;
    const { answer, body, failure } = outcome;
    if (outcome.isFull) {
      this.later('call', ticket, call.attempts + 1);
      return;
    }
    const attempts = call.attempts + 1;
    if (failure !== undefined && outcome.isWorthAnother && attempts < this.attemptsMax) {
      await this.store.noteAttempt(number, { ...call, attempts });
      this.later('call', ticket, attempts);
      return;
    }
    if (call.callbackUrl === undefined) {
      if (failure === undefined) await this.finish(ticket);
      else await this.giveUp(ticket, { ...call, attempts }, 'call', failure);
      return;
    }
    await this.store.answered(
      number,
      { ...call, attempts: 0, answer, failure },
      body,
      failure !== undefined,
    );
    this.tickets.setBytes(ticket, 'answer', body.byteLength);
    if (failure === undefined) this.tickets.setBytes(ticket, 'body', 0);
    // What is at work when this closes ends with its callback; what waits for one is for the next start.
    if (this.isDraining) await this.tell(ticket);
    else this.lane('callback', ticket).push(ticket);
  }

  private async tell(ticket: Ticket): Promise<void> {
    const { number } = ticket;
    const call = await this.store.read(number);
    const { deliver = deliverByHttp } = this.options;
    try {
      await deliver(
        call,
        call.answer as KeptAnswer,
        await this.store.body(number, 'answer'),
        this.closing.signal,
      );
    } catch (error) {
      if (this.closing.signal.aborted) return;
      const attempts = call.attempts + 1;
      if (attempts < this.attemptsMax) {
        await this.store.noteAttempt(number, { ...call, attempts });
        this.later('callback', ticket, attempts);
      } else {
        await this.giveUp(ticket, { ...call, attempts }, 'callback', asAxleError(error).message);
      }
      return;
    }
    if (call.failure === undefined) await this.finish(ticket);
    else await this.giveUp(ticket, call, 'call', call.failure);
  }

  private async invoke(call: QueuedCall, body: Buffer): Promise<Outcome> {
    const startedAt = performance.now();
    const { id, functionName, method, path, query, headers } = call;
    const durationMs = () => performance.now() - startedAt;
    const request: FunctionCall = {
      ...{ id, functionName, method, path, query, headers },
      body,
      signal: this.closing.signal,
    };
    try {
      const answer = await this.options.calls.invoke(request);
      const whole = await wholeBody(answer.body, asyncAnswerBytesMax, 'the answer');
      const { status } = answer;
      const isWorthAnother = transientStatuses.has(status);
      return {
        answer: { status, headers: answer.headers, durationMs: durationMs() },
        body: whole,
        failure: isWorthAnother ? `the function answered with ${status}` : undefined,
        isWorthAnother,
        isFull: false,
      };
    } catch (thrown) {
      const error = asAxleError(thrown);
      const status = httpStatusOf(error);
      if (!this.closing.signal.aborted)
        failureLog(this.options.log)(thrown, `asynchronous call ${id} of ${functionName}`);
      return {
        answer: {
          status,
          headers: { 'content-type': 'text/plain; charset=utf-8' },
          durationMs: durationMs(),
        },
        body: Buffer.from(`${error.message}\n`),
        failure: error.message,
        isWorthAnother: isWorthAnother(error),
        isFull: isOfFullQueue(thrown),
      };
    }
  }

  private async finish(ticket: Ticket): Promise<void> {
    await this.store.remove(ticket.number);
    this.tickets.drop(ticket);
  }

  private async giveUp(
    ticket: Ticket,
    call: QueuedCall,
    step: Step,
    reason: string,
  ): Promise<void> {
    const { now = () => new Date(), log } = this.options;
    await this.store.change(ticket.number, {
      ...call,
      givenUp: { step, reason, at: now().toISOString() },
    });
    this.tickets.forgetId(ticket);
    ticket.state = 'dead';
    log(`asynchronous call ${call.id} of ${call.functionName} was given up: ${reason}`);
  }

  private later(step: Step, ticket: Ticket, attempts: number): void {
    if (this.isDraining) return;
    const { backOffMs: wait = backOffMs } = this.options;
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.lane(step, ticket).push(ticket);
    }, wait(attempts));
    this.timers.add(timer);
  }

  /** Callbacks apart from calls, and by host: one that hangs keeps nobody else waiting. */
  private lane(step: Step, { functionName, callbackHost }: Ticket): Lane<Ticket> {
    const key =
      step === 'call' ? `call ${functionName}` : `callback ${functionName} ${callbackHost}`;
    let lane = this.lanes.get(key);
    if (lane === undefined) {
      const atOnce = (): number => {
        const { scaling } = this.options.deploymentOf(functionName) ?? {};
        return Math.min(asyncConcurrencyMax, scaling?.inFlightMax ?? 1);
      };
      const work = (ticket: Ticket): Promise<void> =>
        step === 'call' ? this.work(step, ticket) : this.tellInTurn(ticket);
      lane = new Lane<Ticket>(step === 'call' ? atOnce : () => asyncConcurrencyMax, work, () => {
        this.lanes.delete(key);
      });
      this.lanes.set(key, lane);
    }
    return lane;
  }

  private tellInTurn(ticket: Ticket): Promise<void> {
    return new Promise((resolve) => {
      this.callbacks.push(() => this.work('callback', ticket).finally(resolve));
    });
  }

  private get attemptsMax(): number {
    return this.options.attemptsMax ?? attemptsMax;
  }

  private deadTicket(number: CallNumber): Ticket {
    if (this.isDraining) throw closes();
    this.store.check();
    return this.tickets.deadOf(number);
  }

  /** From here on nobody else can take it; where the disk fails, it is a dead letter as before. */
  private async leaveDead(ticket: Ticket, change: () => Promise<void>): Promise<void> {
    ticket.state = 'leaving';
    const leaving = change().catch((error: unknown) => {
      ticket.state = 'dead';
      throw error;
    });
    const settled = leaving.catch(() => undefined);
    // Not closed under it.
    this.working.add(settled);
    try {
      await leaving;
    } finally {
      this.working.delete(settled);
    }
  }
}

/**
 * Where it does not run, whatever its code says: that is mended without the call. Otherwise by its code also where it is
 * the function's: what is wrong with a call stays so.
 */
function isWorthAnother(error: AxleError): boolean {
  const failure = functionFailureOf(error);
  const doesNotRun = failure === 'broken' || failure === 'away';
  return doesNotRun || error.retryable || transientStatuses.has(statusOfCode(error));
}

/** Of a call that is on disk no more there is nothing to try. */
function isLost(error: unknown): boolean {
  return error instanceof AxleError && error.code === 'DATA_LOSS';
}

function closes(): AxleError {
  return AxleError.expected('UNAVAILABLE', 'the front end is shutting down; try again');
}
