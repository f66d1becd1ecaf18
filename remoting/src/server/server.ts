import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';

import type { Registry } from 'prom-client';

import { messageOf, Session, type Limits, type Runtime } from '@axle/core/internal';

import { Doors, type DoorPlace, type DoorSettings } from '../doors/doors.js';
import { wireLimits } from '../generated/wire.js';
import type { ServerMetrics } from '../metrics/server-metrics.js';
import { DeviceWatch } from './device-watch.js';
import {
  Authenticator,
  type Identity,
  type Peer,
  type TrustSettings,
} from '../trust/authenticator.js';
import { queueDepthsOf, sliceOf } from '../trust/tenants.js';
import { UsageCounts } from '../usage/usage-counts.js';
import type { UsageLog } from '../usage/usage-log.js';
import { auditChanges, auditExpired } from './audit-changes.js';
import type { AuditLog } from '../log/audit-log.js';
import { LimitedLog } from '../log/limited-log.js';
import { LogLevels } from '../log/log-levels.js';
import type { Log } from '../log/log.js';
import { RequestLog, type LoggedRequests } from '../log/request-log.js';
import { UpstreamModels } from '../relay/upstream-models.js';
import type { PoolBackend } from '../pool/pool-backend.js';
import { GuestMemory } from '../shared-memory/guest-memory.js';
import type { ResourceStore } from '../store/resource-store.js';
import type { HelloFrame } from '../wire/frames.js';
import { ArenaOffers } from './arena-offers.js';
import { Listener, listenerName } from './listener.js';
import type { ListenSpec } from './listen-spec.js';
import type { ModelControl } from './models/model-control.js';
import { publicModels } from './models/model-devices.js';
import type { PublicModels } from './models/public-models.js';
import { ServerModels } from './models/server-models.js';
import { Newcomers } from './newcomers.js';
import { Resumption } from './resumption.js';
import type { TlsMaterial } from './tls.js';
import { Traffic } from './traffic.js';
import { WireFront, type Arenas } from './wire-front.js';
import { WireRequests } from './wire-requests.js';

const MiB = 1024 * 1024;
const windows = { connection: 16 * MiB, stream: 4 * MiB };
const requestBytesMax = 1024 * MiB;
const keptBytesMax = 1024 * MiB;
/** Shared memory of one connection over a unix socket; pages count once they are used. */
const defaultArenaBytes = 256 * MiB;
/** Connections open at once at one listener, whoever's they are. */
const connectionsMax = 8192;
const defaultNewcomersMax = 1024;
/** How often identities are asked whether they still hold. */
const lapseMs = 1000;

export interface ServerOptions {
  readonly runtime: Runtime;
  readonly listen: readonly ListenSpec[];
  /** Of each tenant's session. */
  readonly limits: Limits;
  readonly trust: TrustSettings;
  /** Closed by whoever opened it. */
  readonly store: ResourceStore;
  /** For those who speak gRPC or HTTP; undefined: there are none. */
  readonly doors?: DoorSettings | undefined;
  /** Of device hosts, by their names; for metrics. */
  readonly hostRestarts?: (() => ReadonlyMap<string, number>) | undefined;
  /** Tasks that wait in them, by the content of their models; for metrics. */
  readonly hostWaiting?: (() => Promise<ReadonlyMap<string, number>>) | undefined;
  /** That it serves; for metrics. */
  readonly pool?: PoolBackend | undefined;
  /** Who did what; closed by whoever opened it. */
  readonly audit?: AuditLog | undefined;
  /** What tenants use of devices; closed by whoever opened it. */
  readonly usageLog?: UsageLog | undefined;
  /** Adds to the metrics, where there is a door for them. */
  readonly addMetrics?: ((registry: Registry) => void) | undefined;
  /** Default: nobody controls the operator's models. */
  readonly modelControl?: ModelControl | undefined;
  /** For listeners that ask for it. */
  readonly tls: TlsMaterial | undefined;
  /** A line for the operator, without secrets. */
  readonly log: Log;
  /** That clients of the operator may change; default: all lines are written. */
  readonly logLevels?: LogLevels | undefined;
  /** Default: failures. */
  readonly loggedRequests?: LoggedRequests | undefined;
  /** Time for a TLS handshake, and then for the greeting, milliseconds; default that of the protocol. */
  readonly handshakeMs?: number;
  /** Connections that have not greeted yet; for one more, the oldest goes. */
  readonly newcomersMax?: number;
  /**
   * Takes a model that a client sends for the operator's where it has the same name and content. For a server whose
   * clients have it from there: nobody else could publish it under a name of their own then.
   */
  readonly sharesPublic?: boolean | undefined;
  /** Endpoint that clients are sent to when this server leaves. */
  readonly alternate?: string | undefined;
  /** How long a client that lost its connection may come back and find its answers, milliseconds; default 60,000. */
  readonly resumeMs?: number | undefined;
  /** Shared memory of one connection over a unix socket, bytes; 0 = none. Default 256 MiB. */
  readonly arenaBytes?: number | undefined;
}

/** A client that has been let in. */
interface Client {
  readonly identity: Identity;
  readonly session: Session;
}

export interface ServerUsage {
  readonly connections: number;
  /** Open on them. */
  readonly handles: number;
  /** Clients that are remembered, connected or not. */
  readonly clients: number;
  /** Answers that are kept for them until they are acknowledged. */
  readonly answers: number;
  /** Over all connections so far, without shared memory. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/** Serves a runtime to clients that speak the wire protocol. */
export class Server {
  private readonly listeners: Listener[] = [];
  /** With who the client is, once that is known. */
  private readonly fronts = new Map<WireFront, Client | undefined>();
  private readonly newcomers: Newcomers;
  private readonly instance = randomBytes(16);
  private readonly authenticator: Authenticator;
  private readonly logLevels: LogLevels;
  private readonly log: LimitedLog;
  private readonly requestLog: RequestLog;
  private connectionsMade = 0;
  private readonly lapseTimer: NodeJS.Timeout;
  private readonly resumption: Resumption;
  private readonly watch: DeviceWatch;
  private readonly published: PublicModels;
  private readonly models: ServerModels;
  private readonly arenas: ArenaOffers;
  private readonly traffic = new Traffic();
  /** Since it began. */
  private readonly usageCounts = new UsageCounts();
  private trust: TrustSettings;
  /** Until when tokens were looked at for having expired, milliseconds since 1970. */
  private lookedAt = Date.now();
  private metrics: ServerMetrics | undefined;
  private doors: Doors | undefined;

  private constructor(private readonly options: ServerOptions) {
    const { runtime, store, limits, modelControl } = options;
    this.logLevels = options.logLevels ?? new LogLevels();
    const log = this.logLevels.filter(options.log);
    this.resumption = new Resumption(options.resumeMs);
    this.arenas = new ArenaOffers(options.arenaBytes ?? defaultArenaBytes);
    this.published = publicModels(runtime, limits, modelControl, log);
    this.models = new ServerModels(
      runtime.repository,
      store,
      limits,
      this.published,
      options.sharesPublic ?? false,
      UpstreamModels.behind(runtime.registry.all),
    );
    this.trust = options.trust;
    this.models.onNamed = options.audit?.add.bind(options.audit);
    this.applyShares();
    this.watch = new DeviceWatch(options.runtime);
    this.newcomers = new Newcomers(options.newcomersMax ?? defaultNewcomersMax);
    const clock = () => performance.now();
    this.log = new LimitedLog(log, clock);
    this.requestLog = new RequestLog(log, options.loggedRequests ?? 'failures', clock);
    this.requestLog.audit = options.audit;
    this.authenticator = new Authenticator(options.trust, Date.now, ({ address }, reason) => {
      this.log.add(`refused a client (${address}): ${reason}`, { level: 'warn' });
      options.audit?.refused({ peer: address, reason });
    });
    this.countUses();
    this.lapseTimer = setInterval(() => {
      this.expelLapsed();
    }, lapseMs).unref();
  }

  /**
   * Listens everywhere that it is to listen, or nowhere.
   *
   * @throws AxleError ALREADY_EXISTS where another server listens; UNAVAILABLE or PERMISSION_DENIED as the system says.
   */
  static async start(options: ServerOptions): Promise<Server> {
    const server = new Server(options);
    try {
      await server.measure();
      await server.published.start();
      for (const spec of options.listen) await server.listen(spec);
      await server.openDoors();
      options.audit?.add('started', { endpoints: [...server.endpoints, ...server.doorEndpoints] });
    } catch (error) {
      await server.close(0);
      throw error;
    }
    return server;
  }

  /** As URLs that clients take, in the order of `listen`. */
  get endpoints(): string[] {
    return this.listeners.map(({ endpoint }) => endpoint);
  }

  /** Of the doors for gRPC and HTTP, in the order of their settings. */
  get doorEndpoints(): string[] {
    return this.doorPlaces.map(({ endpoint }) => endpoint);
  }

  /** The same, each with what it is. */
  get doorPlaces(): readonly DoorPlace[] {
    return this.doors?.places ?? [];
  }

  /** Connections that are open. */
  get connections(): number {
    return this.fronts.size;
  }

  /** What it holds now. */
  get usage(): ServerUsage {
    let handles = 0;
    for (const front of this.fronts.keys()) handles += front.openHandles;
    const { clients, answers } = this.resumption;
    const { bytesReceived, bytesSent } = this.traffic;
    return {
      ...{ connections: this.fronts.size, handles, clients, answers },
      ...{ bytesReceived, bytesSent },
    };
  }

  /**
   * From now on. Clients that are in stay, unless what they came in by does not hold any more; a certificate of the server
   * or a CA of clients counts for connections from now on.
   */
  update(trust: TrustSettings, tls: TlsMaterial | undefined): void {
    if (tls !== undefined) {
      for (const listener of this.listeners) listener.useTls(tls);
      this.doors?.useTls(tls);
    }
    const { audit } = this.options;
    if (audit !== undefined) auditChanges(audit, this.trust, trust);
    this.trust = trust;
    this.authenticator.update(trust);
    this.applyShares();
    this.countUses();
    for (const client of this.fronts.values()) {
      if (client !== undefined) client.session.weight = client.identity.tenant.settings.weight;
    }
    this.expelLapsed();
  }

  /**
   * Takes nothing new, answers what was accepted, and closes; after `graceMs` it closes whatever is not answered.
   */
  async close(graceMs: number): Promise<void> {
    clearInterval(this.lapseTimer);
    const { alternate = '', audit } = this.options;
    this.published.close();
    const closed = this.listeners.map((listener) => listener.close());
    const doorsClosed = this.doors?.close(graceMs);
    await Promise.all([...this.fronts.keys()].map((front) => front.drain(graceMs, alternate)));
    this.newcomers.close();
    await Promise.all(closed);
    await doorsClosed;
    this.resumption.close();
    audit?.add('stopped');
  }

  private applyShares(): void {
    const { runtime, limits } = this.options;
    runtime.queueDepths = queueDepthsOf(this.trust.tenancy, limits);
    runtime.timeSliceOf = (tenant) => sliceOf(this.trust.tenancy, tenant);
  }

  /** Nobody pays for counting where nobody asks. */
  private countUses(): void {
    const { runtime, usageLog, doors } = this.options;
    const { named, others } = this.trust.tenancy;
    const bounds = [others, ...named.values()].map(({ rates }) => rates?.deviceMsPerSecond);
    const isBounded = bounds.some((most = Infinity) => most !== Infinity);
    const isMeasured = (doors?.metrics.length ?? 0) > 0;
    if (!isBounded && !isMeasured && usageLog === undefined) {
      runtime.uses.listener = undefined;
      return;
    }
    runtime.uses.listener = (use) => {
      usageLog?.add(use);
      if (isMeasured) this.usageCounts.add(use);
      if (isBounded) this.authenticator.tenant(use.tenant).rates.used(use.deviceMs);
    };
  }

  private get handshakeMs(): number {
    return this.options.handshakeMs ?? wireLimits.handshakeMs;
  }

  private async listen(spec: ListenSpec): Promise<void> {
    const { tls } = this.options;
    const bounds = { connectionsMax, handshakeMs: this.handshakeMs };
    const listener = await Listener.open(spec, tls, bounds, {
      onArrival: (socket) => {
        this.newcomers.add(socket);
      },
      onStream: (stream, arrived, peer) => {
        this.serve(stream, arrived, peer, spec);
      },
      onTrouble: (what) => {
        this.log.add(what, { level: 'warn' });
      },
    });
    this.listeners.push(listener);
  }

  private arenasFor(socket: Socket): Arenas {
    const { arenas } = this;
    return {
      offer: (usage) => arenas.offer(usage),
      handOver: (ticket) => {
        arenas.handOver(ticket, socket);
      },
    };
  }

  /** Without it, its data goes through the stream. */
  private guestMemoryAt(path: string, spec: ListenSpec): GuestMemory | undefined {
    try {
      return GuestMemory.open(path);
    } catch (error) {
      const what = `no memory is shared with the guest at ${listenerName(spec)}`;
      this.log.add(`${what}: ${messageOf(error)}`, { level: 'warn' });
      return undefined;
    }
  }

  /** From the first call on. */
  private async measure(): Promise<void> {
    const { doors, runtime, store, hostRestarts, hostWaiting, addMetrics, pool } = this.options;
    if (doors === undefined || doors.metrics.length === 0) return;
    const { ServerMetrics } = await import('../metrics/server-metrics.js');
    this.metrics = new ServerMetrics({
      ...{ runtime, store },
      tenants: () => this.authenticator.tenantsSeen,
      usage: () => this.usage,
      deviceUsage: () => this.usageCounts.all,
      doorConnections: () => this.doors?.connections ?? new Map(),
      hostRestarts: hostRestarts ?? (() => new Map()),
      hostWaiting: hostWaiting ?? (() => Promise.resolve(new Map())),
    });
    addMetrics?.(this.metrics.registry);
    if (pool !== undefined) {
      const { addPoolMetrics } = await import('../metrics/pool-metrics.js');
      addPoolMetrics(this.metrics.registry, pool);
    }
  }

  private async openDoors(): Promise<void> {
    const { doors, runtime, limits, tls, newcomersMax = defaultNewcomersMax } = this.options;
    if (doors === undefined) return;
    const { models, authenticator, log, requestLog, handshakeMs } = this;
    this.doors = await Doors.start(
      {
        runtime,
        limits,
        models,
        authenticator,
        log,
        requestLog,
        operatorLog: { levels: this.logLevels, requests: requestLog, write: this.options.log },
        nextConnection: () => ++this.connectionsMade,
        audit: this.options.audit,
        handshakeMs,
        connectionsMax,
        newcomersMax,
        controllers: this.options.modelControl?.tenants ?? [],
        metrics: this.metrics,
      },
      doors,
      tls,
    );
  }

  private serve(stream: Socket, arrived: Socket, peer: Peer, spec: ListenSpec): void {
    // Files do not go over to a guest.
    const memory = spec.kind === 'unix' ? spec.memory : undefined;
    const sharesMemory = spec.kind === 'unix' && !spec.isVsock && memory === undefined;
    const connection = ++this.connectionsMade;
    const requests = new WireRequests(this.requestLog, connection, listenerName(spec));
    this.traffic.add(stream);
    const front: WireFront = new WireFront(stream, {
      runtime: this.options.runtime,
      watch: this.watch,
      windows,
      instance: this.instance,
      requestBytesMax,
      resumption: this.resumption,
      arenas: sharesMemory ? this.arenasFor(stream) : undefined,
      openGuestMemory: memory === undefined ? undefined : () => this.guestMemoryAt(memory, spec),
      keptBytesMax,
      models: this.models,
      handshakeMs: this.handshakeMs,
      requests,
      authenticate: (hello) => {
        const client = this.admit(hello, peer);
        const { name: tenant } = client.identity.tenant;
        const by = credentialOf(client.identity);
        this.options.audit?.add('connected', { tenant, connection, peer: peer.address, ...by });
        requests.tenant = client.session.tenant;
        this.newcomers.remove(arrived);
        this.fronts.set(front, client);
        const { identity, session } = client;
        const actsForOthers = (identity.token?.mayActFor.length ?? 0) > 0;
        return { session, tenant: identity.tenant, share: actsForOthers ? undefined : session };
      },
      onClosed: () => {
        const tenant = this.fronts.get(front)?.identity.tenant;
        tenant?.usage.give('connections');
        if (tenant !== undefined) {
          this.options.audit?.add('disconnected', { tenant: tenant.name, connection });
        }
        this.fronts.delete(front);
      },
    });
    this.fronts.set(front, undefined);
  }

  private admit(hello: HelloFrame, peer: Peer): Client {
    const { runtime, limits } = this.options;
    const identity = this.authenticator.identify(hello, peer);
    const { name, settings, usage } = identity.tenant;
    try {
      usage.take('connections');
    } catch (error) {
      const why = 'too many connections';
      this.options.audit?.refused({ tenant: name, peer: peer.address, reason: why });
      this.log.add(`refused a client (${peer.address}) of ${name}: ${why}`, {
        level: 'warn',
        tenant: name,
      });
      throw error;
    }
    const callsInFlightMax = Math.min(limits.callsInFlightMax, Math.max(1, settings.quotas.calls));
    const session = new Session(runtime, name, settings.weight, { ...limits, callsInFlightMax });
    return { identity, session };
  }

  private expelLapsed(): void {
    const { audit } = this.options;
    const since = this.lookedAt;
    this.lookedAt = Date.now();
    if (audit !== undefined) auditExpired(audit, this.trust, since, this.lookedAt);
    this.doors?.expelLapsed();
    for (const [front, client] of this.fronts) {
      const reason = client && this.authenticator.lapsed(client.identity);
      if (reason === undefined || client === undefined) continue;
      const { name: tenant } = client.identity.tenant;
      this.log.add(`ended a connection of ${tenant}: ${reason.message}`, { tenant });
      audit?.add('expelled', { tenant, reason: reason.message });
      front.expel(reason);
    }
  }
}

/** By what it is known who a client is; no secret. */
function credentialOf({ token, certificate }: Identity): Readonly<Record<string, string>> {
  if (token !== undefined) return { token: token.id };
  return certificate?.tenant === undefined ? {} : { certificate: certificate.tenant };
}
