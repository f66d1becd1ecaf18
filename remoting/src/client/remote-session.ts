import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';

import { asAxleError, AxleError } from '@axle/core/internal';

import type { Frame, GoawayFrame } from '../wire/frames.js';
import type { Soon } from '../connection/outbox.js';
import type { ConnectionTimes } from '../connection/times.js';
import type { HelloCredentials } from './credentials.js';
import { alternateOf, type Alternates } from './alternate.js';
import type { ClientArena } from '../shared-memory/client-arena.js';
import type { FetchArena } from './fetch-arena.js';
import { Backoff } from './backoff.js';
import { Journal, type Journalled } from './journal.js';
import { connectionLost, mayPass } from './lost-call.js';
import type { PendingAnswer } from './pending-answer.js';
import { RemoteCall } from './remote-call.js';
import { systemTimers, type Timers } from '../timers.js';
import { WireClient, type Unanswered, type WireClientListener } from './wire-client.js';

/** How long calls wait for a lost connection, milliseconds. */
const reconnectMsDefault = 30_000;
/** How long one try may take to reach the server, milliseconds. */
const dialMsMax = 10_000;
/** A connection that lived so long, milliseconds, or answered so much was a good one: the next loss is the first of a row. */
const goodMs = 5000;
const goodAnswers = 64;

/**
 * Told when the connection is lost, and with undefined when there is one again.
 *
 * @param isLeaving the server says that it leaves, and answers what it has accepted
 */
export type ConnectionListener = (lostBy: AxleError | undefined, isLeaving: boolean) => void;

/** A stream that is open to a server, and what to greet it with. */
export interface Dialled {
  readonly stream: Duplex;
  readonly credentials: HelloCredentials;
  /** Gets memory that the server offers; undefined where none can be shared. */
  readonly fetchArena?: FetchArena | undefined;
}

export interface SessionOptions {
  readonly url: URL;
  /** Opens a stream to an endpoint. @throws AxleError UNAVAILABLE when nothing answers there, or `signal` says so first. */
  readonly dial: (url: URL, signal: AbortSignal) => Promise<Dialled>;
  /** How long calls wait for a lost connection, milliseconds; 0: not at all. */
  readonly timeoutMs?: number | undefined;
  /** Where a server that leaves may send this client. */
  readonly alternates: Alternates;
  readonly onChange?: ConnectionListener | undefined;
  readonly timers?: Timers;
  readonly times?: ConnectionTimes | undefined;
  /** As of `WireClient`. */
  readonly soon?: Soon | undefined;
}

/**
 * A client's place on a server, over one connection after another: it numbers handles, keeps the journal of what is to be
 * made again, and brings calls over a loss by PROTOCOL.md section 12.
 */
export class RemoteSession implements WireClientListener {
  private readonly nonce = randomBytes(16);
  private readonly timers: Timers;
  private readonly backoff = new Backoff();
  private readonly journal = new Journal();
  /** Calls that wait for a connection: as many as core lets be in flight at most. */
  private readonly waiting = new Map<number, RemoteCall>();
  /** Connections on which answers still come, and nothing new goes. */
  private readonly draining = new Set<WireClient>();
  private current: WireClient | undefined;
  /** Whose greeting is not answered, while a lost connection is replaced. */
  private greeting: WireClient | undefined;
  private greetingFailed: ((reason: AxleError) => void) | undefined;
  private lastHandle = 0;
  private lastHandlesMax = Infinity;
  private openedAt = 0;
  private isWelcome = false;
  private isReconnecting = false;
  /** What the round of tries waits for. */
  private stopTrying: (() => void) | undefined;
  /** Where to try, in turn. */
  private targets: readonly URL[];
  private lostBy: AxleError | undefined;
  private closedBy: AxleError | undefined;
  private reopened: () => void = () => undefined;

  private constructor(private readonly options: SessionOptions) {
    this.timers = options.timers ?? systemTimers;
    this.targets = [options.url];
  }

  /** @throws AxleError UNAVAILABLE when no server answers there. What it asks first is told whether the greeting is refused. */
  static async open(options: SessionOptions): Promise<RemoteSession> {
    const session = new RemoteSession(options);
    session.current = session.greet(await session.dial(options.url, dialMsMax));
    return session;
  }

  /** Why nothing can be asked now; undefined: there is a connection. */
  get lostReason(): AxleError | undefined {
    return this.current === undefined ? (this.closedBy ?? this.lostBy) : undefined;
  }

  /** Calls that are not answered. */
  get unanswered(): number {
    let unanswered = this.waiting.size + (this.current?.unanswered ?? 0);
    for (const client of this.draining) unanswered += client.unanswered;
    return unanswered;
  }

  /** Handles that may be open at a time, as the last server has said. */
  get handlesMax(): number {
    return this.lastHandlesMax;
  }

  /** What would be made again on another connection, beside calls. */
  get journalled(): number {
    return this.journal.size;
  }

  /** Starts another round of tries where the last one gave up. */
  seek(): void {
    if (this.isWelcome && this.closedBy === undefined) this.reconnectSoon();
  }

  /** Calls `run` whenever another connection is open and all is made again on it. */
  whenReopened(run: () => void): void {
    this.reopened = run;
  }

  newHandle(): number {
    this.lastHandle += 1;
    return this.lastHandle;
  }

  /**
   * Sends a frame that makes a handle and is not made again: what is not answered when the connection is lost fails.
   *
   * @throws AxleError UNAVAILABLE without a connection; WireError for a frame that is out of form.
   */
  ask(frame: Frame, answer: PendingAnswer): void {
    if (this.current === undefined) throw this.notNow();
    this.current.ask(frame, answer);
  }

  /** Sends a frame that makes no handle and that nobody misses where there is no connection. */
  tell(frame: Frame): void {
    this.current?.send(frame);
  }

  /** Makes what stays until `release`, on this connection and on those that follow. */
  hold(thing: Journalled): void {
    if (this.current !== undefined) thing.sendOn(this.current);
    this.journal.add(thing);
  }

  /** The same of what was made on this connection already. */
  adopt(thing: Journalled): void {
    this.journal.add(thing);
  }

  /**
   * The connection that is open now, for what ends with it.
   *
   * @throws AxleError UNAVAILABLE without one.
   */
  connected(): WireClient {
    if (this.current === undefined) throw this.notNow();
    return this.current;
  }

  /** Memory that the server shares; undefined: none, or no connection. */
  async knownArena(): Promise<ClientArena | undefined> {
    return this.current?.knownArena();
  }

  release(id: number): void {
    if (this.journal.remove(id)) this.current?.send({ type: 'RELEASE', id });
  }

  /** Of what is not to be made again on another connection. */
  letGo(id: number): void {
    this.current?.send({ type: 'RELEASE', id });
  }

  /** It failed: there is nothing to be made again, nor to be released. */
  forget(id: number): void {
    this.journal.remove(id);
  }

  /** @throws AxleError when the session was closed; WireError for a frame that is out of form. */
  call(call: RemoteCall): void {
    if (this.current !== undefined) {
      call.sendOn(this.current);
      return;
    }
    if (this.closedBy !== undefined) throw this.closedBy;
    this.waiting.set(call.id, call);
    this.reconnectSoon();
  }

  /** To be told of a call whose connection was lost before its answer. */
  wait(call: RemoteCall): void {
    this.waiting.set(call.id, call);
  }

  /** Of a call that waits for a connection. */
  cancelWaiting(call: RemoteCall): void {
    if (!this.waiting.delete(call.id)) return;
    call.onFailed(AxleError.expected('CANCELLED', 'the call was cancelled'));
  }

  close(reason: AxleError): void {
    if (this.closedBy !== undefined) return;
    this.closedBy = reason;
    this.stopTrying?.();
    const clients = [this.current, this.greeting, ...this.draining];
    for (const client of clients) client?.close(reason);
    this.failWaiting(reason);
  }

  onWelcome(client: WireClient): void {
    this.isWelcome = true;
    this.lastHandlesMax = client.handlesMax;
    this.openedAt = this.timers.now();
    if (client !== this.greeting) return;
    this.greeting = undefined;
    this.stopTrying?.();
    this.isReconnecting = false;
    this.lostBy = undefined;
    this.current = client;
    this.makeAgain(client);
    this.reopened();
    this.options.onChange?.(undefined, false);
  }

  onLeaving(client: WireClient, goaway: GoawayFrame, neverRan: readonly PendingAnswer[]): void {
    const reason = new AxleError('UNAVAILABLE', `the server leaves: ${goaway.message}`);
    if (client === this.current) {
      this.current = undefined;
      this.draining.add(client);
      this.lostBy = reason;
      this.targets = this.targetsAfter(goaway.alternate);
      this.noteEnd(client);
      this.tellLost(reason, true);
    }
    for (const answer of neverRan) failOrWait(answer, reason, true);
    if (this.closedBy === undefined) this.reconnectSoon();
  }

  onClosed(client: WireClient, reason: AxleError, unanswered: readonly Unanswered[]): void {
    if (client === this.greeting) {
      this.greeting = undefined;
      this.greetingFailed?.(reason);
      return;
    }
    if (this.draining.delete(client) && this.closedBy === undefined) {
      for (const { answer, neverSent } of unanswered) this.move(answer, reason, neverSent);
      return;
    }
    const wasCurrent = client === this.current;
    if (wasCurrent) this.current = undefined;
    this.lostBy = reason;
    this.noteEnd(client);
    if (wasCurrent) this.tellLost(reason, false);
    if (!this.isWelcome) {
      // Whoever connects hears why the greeting was refused.
      this.closedBy ??= reason;
      for (const { answer } of unanswered) answer.onFailed(reason);
      return;
    }
    for (const { answer, neverSent } of unanswered) failOrWait(answer, reason, neverSent);
    if (this.closedBy !== undefined || !mayPass(reason)) this.failWaiting(reason);
    else this.reconnectSoon();
  }

  private greet({ stream, credentials, fetchArena }: Dialled): WireClient {
    const { nonce, timers } = this;
    const { times, soon } = this.options;
    return new WireClient(stream, { nonce, timers, credentials, fetchArena, times, soon }, this);
  }

  /** One that may end servers is answered, or given up: it is the turn of the next. */
  suspectSettled(): void {
    if (this.current !== undefined) this.sendSuspect(this.current);
  }

  private makeAgain(client: WireClient): void {
    const calls: RemoteCall[] = [];
    for (const call of this.waiting.values()) {
      if (!call.isSuspect(client.instance)) calls.push(call);
    }
    for (const call of calls) this.waiting.delete(call.id);
    this.send(client, this.journal.with(calls));
    this.sendSuspect(client);
  }

  /** Those that may end servers go one at a time, under new numbers; the others wait as for a connection. */
  private sendSuspect(client: WireClient): void {
    for (const call of this.waiting.values()) {
      this.waiting.delete(call.id);
      if (this.journal.has(call.needs.id) && call.renumber()) this.send(client, [call]);
      else call.giveUp(new AxleError('UNAVAILABLE', 'the server ended'));
      if (call.isUnderWay) return;
    }
  }

  private send(client: WireClient, things: readonly Journalled[]): void {
    for (const thing of things) {
      try {
        thing.sendOn(client);
      } catch (error) {
        thing.onFailed(asAxleError(error));
      }
    }
    // What only those calls need.
    for (const thing of things) {
      if (thing instanceof RemoteCall || this.journal.has(thing.id)) continue;
      client.send({ type: 'RELEASE', id: thing.id });
    }
  }

  /** From a connection that was lost while it drained to the one that took its place, on which handles have risen since. */
  private move(answer: PendingAnswer, reason: AxleError, neverSent: boolean): void {
    failOrWait(answer, reason, neverSent);
    if (!(answer instanceof RemoteCall) || !this.waiting.delete(answer.id)) return;
    if (this.journal.has(answer.needs.id) && answer.renumber()) this.call(answer);
    else answer.giveUp(reason);
  }

  private reconnectSoon(): void {
    if (this.isReconnecting || this.current !== undefined) return;
    this.isReconnecting = true;
    void this.reconnect();
  }

  /** Tries until a connection is open, or the time is over. */
  private async reconnect(): Promise<void> {
    const { timers } = this;
    const { timeoutMs = reconnectMsDefault } = this.options;
    const endAt = timers.now() + timeoutMs;
    for (let turn = 0; ; turn++) {
      const waitMs = this.backoff.nextMs();
      const leftMs = endAt - timers.now() - waitMs;
      if (leftMs <= 0) break;
      await this.sleep(waitMs);
      if (this.closedBy !== undefined) return;
      try {
        await this.try(
          this.targets[turn % this.targets.length] as URL,
          Math.min(leftMs, dialMsMax),
        );
        return;
      } catch (error) {
        this.lostBy = asAxleError(error);
        if (this.closedBy !== undefined) return;
        if (!mayPass(this.lostBy)) break;
      }
    }
    this.isReconnecting = false;
    this.backoff.reset();
    this.failWaiting(this.lostBy ?? this.notNow());
  }

  /** @throws AxleError why there is no connection. */
  private async try(url: URL, msMax: number): Promise<void> {
    const dialled = await this.dial(url, msMax);
    const { stream } = dialled;
    if (this.closedBy !== undefined) {
      stream.destroy();
      return;
    }
    const late = this.timers.after(msMax, () => {
      stream.destroy();
    });
    try {
      await new Promise<void>((resolve, reject) => {
        this.stopTrying = resolve;
        this.greetingFailed = reject;
        this.greeting = this.greet(dialled);
      });
    } finally {
      late();
    }
  }

  private async dial(url: URL, msMax: number): Promise<Dialled> {
    const abort = new AbortController();
    const giveUp = () => {
      abort.abort(new AxleError('UNAVAILABLE', `${url.href} did not answer in time`));
    };
    const stopTimer = this.timers.after(msMax, giveUp);
    this.stopTrying = giveUp;
    try {
      return await this.options.dial(url, abort.signal);
    } finally {
      stopTimer();
      this.stopTrying = undefined;
    }
  }

  private async sleep(ms: number): Promise<void> {
    if (ms <= 0) return;
    await new Promise<void>((resolve) => {
      const stopTimer = this.timers.after(ms, resolve);
      this.stopTrying = () => {
        stopTimer();
        resolve();
      };
    });
  }

  private tellLost(reason: AxleError, isLeaving: boolean): void {
    if (this.isWelcome && this.closedBy === undefined) this.options.onChange?.(reason, isLeaving);
  }

  private noteEnd({ answered }: WireClient): void {
    const livedMs = this.timers.now() - this.openedAt;
    if (livedMs >= goodMs || answered >= goodAnswers) this.backoff.reset();
  }

  private targetsAfter(alternate: string): readonly URL[] {
    const { url, alternates } = this.options;
    const to = alternateOf(this.targets[0] as URL, alternate, alternates);
    return to === undefined ? [url] : [to, url];
  }

  private failWaiting(reason: AxleError): void {
    const calls = [...this.waiting.values()];
    this.waiting.clear();
    for (const call of calls) call.giveUp(reason);
  }

  private notNow(): AxleError {
    if (this.closedBy !== undefined) return this.closedBy;
    this.reconnectSoon();
    return connectionLost(this.lostBy ?? new AxleError('UNAVAILABLE', 'it is not open yet'));
  }
}

function failOrWait(answer: PendingAnswer, reason: AxleError, neverRan: boolean): void {
  if (answer.onLost !== undefined) answer.onLost(reason, neverRan);
  else answer.onFailed(connectionLost(reason));
}
