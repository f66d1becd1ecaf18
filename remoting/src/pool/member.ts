import { performance } from 'node:perf_hooks';

import {
  asAxleError,
  type AxleError,
  type ConnectOptions,
  type Device,
  type LoadedModel,
  type OfferedOp,
} from '@axle/core/internal';

import { Backoff } from '../client/backoff.js';
import { connectBackend } from '../client/connect-remote.js';
import type { ToldWait } from '../client/description.js';
import { mayPass } from '../client/lost-call.js';
import type { RemoteBackend } from '../client/remote-backend.js';
import { defaultTimes } from '../connection/times.js';
import type { SourceOn, Upstream } from '../relay/upstream.js';
import { Upstreams } from '../relay/upstreams.js';
import { FarDevice } from './far-device.js';

/** A server that says nothing for so long is asked, milliseconds, and lost if it has not answered after so long again. */
const pingAfterMs = 1000;
const pongMs = 3000;
/** A server that refuses this client is asked again after so long, milliseconds. */
const refusedMs = 30_000;
/** A tenant's lost connection is tried again by its calls after so long, milliseconds, if it did not come back by itself. */
const awayMsMax = 30_000;
/** A tenant that a server does not let in is tried there again by its calls after so long, milliseconds. */
const refusedTenantMs = 5000;
/** How often a server that is away is looked for, milliseconds. */
const seekMs = 1000;

/**
 * `connecting`: it never answered. `draining`: it answers what it has, as it leaves or is to be emptied. `drained`: it is
 * empty, and gets nothing. `lost`: it is away, and looked for.
 */
export type MemberState = 'connecting' | 'up' | 'draining' | 'drained' | 'lost';

/** Whoever shares work out among servers. */
export interface MemberListener {
  /** It takes tasks, for the first time or again; of one tenant, where it had lost that one's connection alone. */
  memberUp(member: Member, tenant: string): void;
  /** A connection is gone, and with it what was under way; '' is the pool's own, which speaks for all. */
  memberLost(member: Member, tenant: string): void;
  /** It cannot be reached, or lets the pool not in; told once for each kind of reason. */
  memberSought(member: Member, reason: AxleError): void;
  /** It does not let a tenant in; told once, until it does. */
  memberRefused(member: Member, tenant: string, reason: AxleError): void;
  /** It was let go, and has answered what it had. */
  memberGone(member: Member): void;
  /** It is to get nothing, and has answered what it had. */
  memberDrained(member: Member): void;
}

export interface MemberOptions {
  readonly url: URL;
  /** In front of what the server calls its devices. */
  readonly label: string;
  readonly connect: ConnectOptions;
  /** Each tenant's work goes over a connection in its name; otherwise all is the client's own. */
  readonly actsForTenants: boolean;
  readonly sourceOn: SourceOn;
}

/** One server of a pool, from when it is named on: it is looked for as long as the pool lasts. */
export class Member {
  devices: readonly FarDevice[] = [];
  /** Settles when it has answered or failed for the first time. */
  readonly tried: Promise<void>;
  private noteTried: () => void = () => undefined;
  private upstreams: Upstreams | undefined = undefined;
  private current: MemberState = 'connecting';
  private reason: AxleError | undefined = undefined;
  /** Tenants whose connections are lost, and when they may be tried again. */
  private readonly away = new Map<string, number>();
  /** Of these, those that the server does not let in. */
  private readonly refused = new Map<string, AxleError>();
  /** Why it is not there, as was told last. */
  private toldReason: AxleError | undefined = undefined;
  private isClosed = false;
  /** It takes nothing new, and goes when it has answered what it has. */
  isRetired = false;
  /** It was let go, and has answered what it had. */
  isGone = false;
  /** It takes nothing new until it is told otherwise. */
  isResting = false;
  /** That are open there. */
  streams = 0;
  /** Whose connections count; those before end with what they have. */
  private generation = 0;
  private isRenewing = false;
  private outgrown: readonly Upstreams[] = [];
  private wake: () => void = () => undefined;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly options: MemberOptions,
    private readonly listener: MemberListener,
  ) {
    this.tried = new Promise((resolve) => {
      this.noteTried = resolve;
    });
    this.timer = setInterval(() => {
      this.closeOutgrown();
      if (this.isRetired || this.isResting) this.settleIfIdle();
      else if (this.current !== 'up') {
        this.tellReason(this.lastError);
        this.upstreams?.own.session.seek();
      } else if (this.upstreams?.own.isOutgrown === true) void this.renew();
    }, seekMs).unref();
    void this.connect();
  }

  get label(): string {
    return this.options.label;
  }

  get url(): URL {
    return this.options.url;
  }

  /** The machine that it runs on, as far as its URL says: sockets are of this one. */
  get host(): string {
    return this.url.hostname;
  }

  get state(): MemberState {
    return this.current;
  }

  /** Why it is not up. */
  get lastError(): AxleError | undefined {
    // Of the last try to reach it.
    return this.current === 'lost'
      ? (this.upstreams?.own.session.lostReason ?? this.reason)
      : this.reason;
  }

  /** The pool's own connection; undefined while there is none. */
  get own(): RemoteBackend | undefined {
    return this.current === 'up' ? this.upstreams?.own : undefined;
  }

  get ops(): readonly OfferedOp[] {
    return this.upstreams?.own.ops ?? [];
  }

  /** On their way to it or there. */
  get inFlight(): number {
    return this.devices.reduce((sum, { attempts }) => sum + attempts.size, 0);
  }

  /** It has nothing to answer, and no stream. */
  get isIdle(): boolean {
    return this.inFlight === 0 && this.streams === 0;
  }

  devicesOf(kind: string): readonly FarDevice[] {
    return this.devices.filter((device) => device.kind === kind);
  }

  /** Whether it may turn out to have devices of the kind. */
  mayHave(kind: string): boolean {
    return this.upstreams === undefined || this.devicesOf(kind).length > 0;
  }

  offers(device: Device, op: OfferedOp): boolean {
    return this.upstreams?.own.offers(device, op) ?? false;
  }

  waitOf(device: Device): ToldWait {
    return this.upstreams?.own.waitOf(device) ?? unknownWait;
  }

  /** It is up, and says that the device is not lost. */
  isWell(device: Device): boolean {
    return this.current === 'up' && this.upstreams?.own.isLost(device) !== true;
  }

  /** Whether a tenant's tasks may go there now. */
  takes(tenant: string, now: number): boolean {
    if (this.current !== 'up') return false;
    if (this.away.size === 0) return true;
    return (this.away.get(tenant) ?? 0) <= now;
  }

  /** Why the server does not let a tenant in; undefined: it does, or that is to be tried now. */
  refusalOf(tenant: string, now: number): AxleError | undefined {
    return this.takes(tenant, now) ? undefined : this.refused.get(tenant);
  }

  /** @throws AxleError as `Upstreams.of`; UNAVAILABLE while it never answered. */
  of(tenant: string, now?: number): Upstream {
    if (this.upstreams === undefined) throw this.lastError ?? notYet(this.label);
    return this.upstreams.of(tenant, now);
  }

  unload(loaded: LoadedModel): void {
    for (const upstream of this.upstreams?.all ?? []) upstream.unload(loaded);
  }

  /** Its place is given up. */
  retire(): void {
    if (this.isRetired) return;
    this.isRetired = true;
    this.takeNothing();
  }

  /** It is to be emptied, and stays. */
  rest(): void {
    if (this.isResting || this.isRetired) return;
    this.isResting = true;
    this.takeNothing();
  }

  /** It takes tasks again. */
  resume(): void {
    if (!this.isResting || this.isRetired) return;
    this.isResting = false;
    if (this.current !== 'drained' && this.current !== 'draining') return;
    // One that leaves of itself comes back with a connection.
    if (this.upstreams?.own.session.lostReason !== undefined) return;
    this.current = 'up';
    this.listener.memberUp(this, '');
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearInterval(this.timer);
    this.wake();
    const all = [...this.outgrown, ...(this.upstreams === undefined ? [] : [this.upstreams])];
    await Promise.all(all.map((each) => each.close()));
  }

  private takeNothing(): void {
    if (this.current === 'up') this.current = 'draining';
    this.listener.memberLost(this, '');
    this.settleIfIdle();
  }

  private settleIfIdle(): void {
    if (this.isClosed || !this.isIdle) return;
    if (this.isRetired) {
      this.isGone = true;
      this.listener.memberGone(this);
      this.close().catch(() => undefined);
    } else if (this.current === 'draining') {
      this.current = 'drained';
      this.listener.memberDrained(this);
    }
  }

  /** It came back with more than it had: what it has now is read over new connections, and the old ones end when idle. */
  private async renew(): Promise<void> {
    if (this.isRenewing) return;
    this.isRenewing = true;
    const before = this.upstreams;
    try {
      const upstreams = await this.connectUpstreams();
      if (before !== undefined) this.outgrown = [...this.outgrown, before];
      this.came(upstreams);
    } catch {
      // What was there goes on; the next look tries again.
    } finally {
      this.isRenewing = false;
    }
  }

  private closeOutgrown(): void {
    for (const upstreams of this.outgrown) {
      if (![...upstreams.all].every(({ isIdle }) => isIdle)) continue;
      this.outgrown = this.outgrown.filter((each) => each !== upstreams);
      upstreams.close().catch(() => undefined);
    }
  }

  private connectUpstreams(): Promise<Upstreams> {
    const { sourceOn } = this.options;
    this.generation += 1;
    const { generation } = this;
    const open = (tenant: string) => this.open(tenant, generation);
    return Upstreams.connect(open, { name: this.url.href, hasNames: false, sourceOn });
  }

  private async connect(): Promise<void> {
    const backoff = new Backoff();
    let waitMs = backoff.nextMs();
    while (!this.isClosed) {
      await this.sleep(waitMs);
      try {
        this.came(await this.connectUpstreams());
        return;
      } catch (error) {
        this.reason = asAxleError(error);
        waitMs = mayPass(this.reason) ? backoff.nextMs() : refusedMs;
        this.tellReason(this.reason);
        this.noteTried();
      }
    }
  }

  private came(upstreams: Upstreams): void {
    this.upstreams = upstreams;
    if (this.isClosed) {
      void upstreams.close();
      return;
    }
    const { devices, ops } = upstreams.own;
    const known = new Map(this.devices.map((far) => [far.id, far]));
    this.devices = devices.map((device) => {
      const far = known.get(device.id);
      far?.renew(device, ops);
      return far ?? new FarDevice(this, device, ops);
    });
    this.connectionChanged('', undefined, false);
    this.noteTried();
  }

  private async open(tenant: string, generation: number): Promise<RemoteBackend> {
    try {
      const remote = await this.dial(tenant, generation);
      if (this.away.has(tenant) && generation === this.generation) {
        this.connectionChanged(tenant, undefined, false);
      }
      return remote;
    } catch (error) {
      // Whoever waits for it goes elsewhere meanwhile.
      if (tenant !== '' && generation === this.generation) {
        this.connectionChanged(tenant, asAxleError(error), false);
      }
      throw error;
    }
  }

  private dial(tenant: string, generation: number): Promise<RemoteBackend> {
    const { url, label, connect, actsForTenants } = this.options;
    const { reconnect: { timeoutMs } = {} } = connect;
    // Where else its work may go, the pool knows.
    const options = { ...connect, reconnect: { timeoutMs } };
    return connectBackend(
      url,
      tenant === '' || !actsForTenants ? options : { ...options, tenant },
      {
        name: url.href,
        naming: { prefix: `${label}/` },
        times: { ...defaultTimes, pingAfterMs, pongMs },
        onChange: (lostBy, isLeaving) => {
          if (generation !== this.generation) return;
          this.connectionChanged(tenant, lostBy, isLeaving);
        },
      },
    );
  }

  private connectionChanged(
    tenant: string,
    lostBy: AxleError | undefined,
    isLeaving: boolean,
  ): void {
    if (this.isClosed) return;
    if (lostBy !== undefined) {
      if (tenant === '') {
        this.current = isLeaving ? 'draining' : 'lost';
        this.reason = lostBy;
        this.toldReason = lostBy;
      } else this.tenantLost(tenant, lostBy);
      // When the connection has sorted out what becomes of its calls.
      queueMicrotask(() => {
        // One that is not let in has no use for the connection: the next is a new one.
        if (this.refused.has(tenant)) this.upstreams?.drop(tenant);
        this.listener.memberLost(this, tenant);
      });
      return;
    }
    if (tenant === '') {
      if (this.isRetired) return;
      this.reason = undefined;
      this.toldReason = undefined;
      this.away.clear();
      this.refused.clear();
      if (this.isResting) {
        this.current = 'draining';
        this.settleIfIdle();
        return;
      }
      this.current = 'up';
    } else {
      this.away.delete(tenant);
      this.refused.delete(tenant);
    }
    if (this.current === 'up') this.listener.memberUp(this, tenant);
  }

  private tenantLost(tenant: string, lostBy: AxleError): void {
    const isRefused = !mayPass(lostBy);
    this.away.set(tenant, performance.now() + (isRefused ? refusedTenantMs : awayMsMax));
    if (!isRefused) return;
    const isNew = !this.refused.has(tenant);
    this.refused.set(tenant, lostBy);
    if (isNew) this.listener.memberRefused(this, tenant, lostBy);
  }

  private tellReason(reason: AxleError | undefined): void {
    if (reason === undefined || reason.code === this.toldReason?.code) return;
    this.toldReason = reason;
    this.listener.memberSought(this, reason);
  }

  private async sleep(ms: number): Promise<void> {
    if (ms <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const unknownWait: ToldWait = { waitMs: 0, toldAt: 0 };

function notYet(label: string): AxleError {
  return asAxleError(new Error(`${label} has not answered yet`));
}
