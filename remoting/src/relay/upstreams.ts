import { asAxleError, AxleError } from '@axle/core/internal';

import { Backoff } from '../client/backoff.js';
import { mayPass } from '../client/lost-call.js';
import type { RemoteBackend } from '../client/remote-backend.js';
import { Upstream, type SourceOn } from './upstream.js';

/** Of one server. */
export interface UpstreamsOptions {
  /** For messages, and to tell servers apart. */
  readonly name: string;
  /** It has models under names, for its tenants, which are offered too. */
  readonly hasNames: boolean;
  /** How long to try for, milliseconds; 0 (default): once. */
  readonly msMax?: number;
  /** As of `Upstream`. */
  readonly sourceOn?: SourceOn | undefined;
}

/** Tenants that have a connection to one server at a time. */
const upstreamsMax = 1024;
/** A connection that its tenant did not use for so long is closed, milliseconds. */
const idleMs = 60_000;
/** How long a tenant's first calls wait for a server that cannot be reached, milliseconds. */
const openMsMax = 30_000;

interface Entry {
  readonly upstream: Upstream;
  usedAt: number;
}

/** The connections of a relay to one server: its own, and one for each tenant that has work there. */
export class Upstreams {
  /** Told of models that are not wanted any more. Undefined: the server keeps them as it likes. */
  onUnload: ((contentId: string) => void) | undefined;
  private readonly byTenant = new Map<string, Entry>();
  private readonly timer: NodeJS.Timeout;
  private isClosed = false;
  private last: { readonly tenant: string; readonly entry: Entry } | undefined = undefined;

  private constructor(
    /** Describes the server and watches its devices. */
    readonly own: RemoteBackend,
    /** For messages, and to tell servers apart. */
    readonly name: string,
    /** It has models under names, for its tenants. */
    readonly hasNames: boolean,
    private readonly open: (tenant: string) => Promise<RemoteBackend>,
    private readonly sourceOn: SourceOn | undefined,
  ) {
    this.timer = setInterval(() => {
      this.closeIdle(performance.now() - idleMs);
    }, idleMs / 2).unref();
  }

  /**
   * @param open connects for a tenant; for the relay itself when that is ''
   * @throws AxleError as the connection of the relay itself fails.
   */
  static async connect(
    open: (tenant: string) => Promise<RemoteBackend>,
    { name, hasNames, msMax = 0, sourceOn }: UpstreamsOptions,
  ): Promise<Upstreams> {
    const own = await untilOpen(
      () => open(''),
      msMax,
      () => false,
    );
    return new Upstreams(own, name, hasNames, open, sourceOn);
  }

  get all(): Iterable<Upstream> {
    return [...this.byTenant.values()].map(({ upstream }) => upstream);
  }

  /** @throws AxleError RESOURCE_EXHAUSTED when too many tenants work there at once. */
  of(tenant: string, now = performance.now()): Upstream {
    const entry = this.last?.tenant === tenant ? this.last.entry : this.entryOf(tenant);
    entry.usedAt = now;
    return entry.upstream;
  }

  /** Why the server does not take this relay for the tenant; undefined: it does, or cannot be asked now. */
  async refusalOf(tenant: string): Promise<AxleError | undefined> {
    try {
      const remote = await this.open(tenant);
      await remote.close();
    } catch (error) {
      const refusal = asAxleError(error);
      return mayPass(refusal) ? undefined : refusal;
    }
    return undefined;
  }

  /** Closes a tenant's connection: the next call makes a new one. */
  drop(tenant: string): void {
    const entry = this.byTenant.get(tenant);
    if (entry === undefined) return;
    this.forget(tenant);
    entry.upstream.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearInterval(this.timer);
    const upstreams = [...this.all];
    this.byTenant.clear();
    this.last = undefined;
    await Promise.all([this.own.close(), ...upstreams.map((upstream) => upstream.close())]);
  }

  private entryOf(tenant: string): Entry {
    let entry = this.byTenant.get(tenant);
    if (entry === undefined) {
      this.makeRoom();
      entry = { upstream: this.connected(tenant), usedAt: 0 };
      this.byTenant.set(tenant, entry);
    }
    this.last = { tenant, entry };
    return entry;
  }

  private connected(tenant: string): Upstream {
    // A server that is away for a moment is waited for, as those wait for it who were connected.
    const opening = untilOpen(
      () => this.open(tenant),
      openMsMax,
      () => this.isClosed,
    );
    const upstream = new Upstream(opening, this.sourceOn);
    // The next call of the tenant tries again.
    opening.catch(() => {
      if (this.byTenant.get(tenant)?.upstream === upstream) this.forget(tenant);
    });
    return upstream;
  }

  private makeRoom(): void {
    if (this.byTenant.size < upstreamsMax) return;
    this.closeIdle(Infinity);
    if (this.byTenant.size < upstreamsMax) return;
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `${upstreamsMax} tenants have work on one server, and no more may have; try again later`,
    );
  }

  /** @param before they were used last, on the clock of `performance` */
  private closeIdle(before: number): void {
    for (const [tenant, { upstream, usedAt }] of this.byTenant) {
      if (usedAt > before || !upstream.isIdle) continue;
      this.forget(tenant);
      upstream.close().catch(() => undefined);
    }
  }

  private forget(tenant: string): void {
    this.byTenant.delete(tenant);
    this.last = undefined;
  }
}

/** @throws AxleError as the last try failed. */
async function untilOpen<T>(
  open: () => Promise<T>,
  msMax: number,
  isClosed: () => boolean,
): Promise<T> {
  const backoff = new Backoff();
  const endAt = performance.now() + msMax;
  for (;;) {
    const waitMs = backoff.nextMs();
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    try {
      return await open();
    } catch (error) {
      if (isClosed() || performance.now() >= endAt || !mayPass(asAxleError(error))) throw error;
    }
  }
}
