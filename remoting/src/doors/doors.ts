import type { Socket } from 'node:net';

import type { Limits, Runtime } from '@axle/core/internal';

import type { AuditLog } from '../log/audit-log.js';
import type { LimitedLog } from '../log/limited-log.js';
import type { RequestLog } from '../log/request-log.js';
import type { ListenSpec } from '../server/listen-spec.js';
import { Listener, listenerName } from '../server/listener.js';
import type { ServerModels } from '../server/models/server-models.js';
import type { ServerMetrics } from '../metrics/server-metrics.js';
import { Newcomers } from '../server/newcomers.js';
import type { TlsMaterial } from '../server/tls.js';
import type { Authenticator, Peer } from '../trust/authenticator.js';
import { DoorClients, DoorConnection } from './door-clients.js';
import type { DoorLimits } from './door-limits.js';
import { DoorRequests } from './door-request.js';
import type { Door } from './door.js';
import { JsonWork } from './http/json-work.js';
import { KserveServer } from './kserve/kserve-server.js';
import { OperatorSettings, type OperatorLog } from './kserve/operator-settings.js';
import { SharedRegions } from './kserve/shared-memory/shared-regions.js';

/** Where the standard doors are, and what bounds them. */
export interface DoorSettings {
  readonly grpc: readonly ListenSpec[];
  readonly http: readonly ListenSpec[];
  readonly metrics: readonly ListenSpec[];
  /** That may read the metrics. */
  readonly metricsTenants: readonly string[];
  /** That may read and change the settings of the server that Triton's clients know. */
  readonly operators: readonly string[];
  /** Clients on unix sockets may register shared memory of this machine. */
  readonly systemSharedMemory: boolean;
  readonly limits: DoorLimits;
}

/** What doors take from the server that they lead into. */
export interface DoorHost {
  readonly runtime: Runtime;
  readonly limits: Limits;
  readonly models: ServerModels;
  readonly authenticator: Authenticator;
  readonly log: LimitedLog;
  readonly requestLog: RequestLog;
  readonly operatorLog: OperatorLog;
  /** Of a new connection. */
  readonly nextConnection: () => number;
  readonly audit?: Pick<AuditLog, 'add'> | undefined;
  readonly handshakeMs: number;
  readonly connectionsMax: number;
  /** Connections that have not made a request yet; for one more, the oldest goes. */
  readonly newcomersMax: number;
  /** Tenants that may load and unload the operator's models. */
  readonly controllers: readonly string[];
  /** Where there is a door for them. */
  readonly metrics: ServerMetrics | undefined;
}

/** Connections of those, of all doors: for one more, the oldest goes. */
const askersMax = 1024;

export type DoorKind = 'grpc' | 'http' | 'metrics';

export interface DoorPlace {
  readonly kind: DoorKind;
  /** As a URL. */
  readonly endpoint: string;
}

interface OpenDoor {
  readonly kind: DoorKind;
  readonly door: Door;
  readonly listener: Listener;
}

function endpointOf(kind: DoorKind, { address, isTls }: Listener): string {
  const protocol = kind === 'grpc' ? 'grpc' : 'http';
  if (address.startsWith('/')) return `${protocol}+unix:${encodeURI(address)}`;
  return `${protocol}${isTls ? 's' : ''}://${address}`;
}

/** The doors of a server for those who speak standard protocols: gRPC and HTTP. */
export class Doors {
  private readonly open: OpenDoor[] = [];
  private readonly sockets = new Map<Socket, DoorKind>();
  private readonly clients: DoorClients;
  private readonly kserve: KserveServer;
  private readonly newcomers: Newcomers;
  /** That asked for nothing but health, which needs no credentials. */
  private readonly askers = new Newcomers(askersMax);
  private readonly requests: DoorRequests;
  private readonly json: JsonWork;

  private constructor(
    private readonly host: DoorHost,
    private readonly settings: DoorSettings,
  ) {
    const { runtime, limits, authenticator, models } = host;
    this.clients = new DoorClients(runtime, limits, authenticator);
    const regions = settings.systemSharedMemory ? new SharedRegions(settings.limits) : undefined;
    const operated = new OperatorSettings(host.operatorLog, settings.operators);
    this.kserve = new KserveServer(models, host.controllers, runtime, regions, operated);
    this.newcomers = new Newcomers(host.newcomersMax);
    this.requests = new DoorRequests(host.requestLog);
    this.json = new JsonWork(settings.limits);
  }

  /** @throws AxleError as `Listener.open` */
  static async start(
    host: DoorHost,
    settings: DoorSettings,
    tls: TlsMaterial | undefined,
  ): Promise<Doors> {
    const doors = new Doors(host, settings);
    try {
      for (const spec of settings.grpc) await doors.openOne('grpc', spec, tls);
      for (const spec of settings.http) await doors.openOne('http', spec, tls);
      for (const spec of settings.metrics) await doors.openOne('metrics', spec, tls);
    } catch (error) {
      await doors.close(0);
      throw error;
    }
    return doors;
  }

  /** What each is, and where: `grpc://127.0.0.1:8001`, `https://...`, `grpc+unix:/run/axle.sock`; metrics are `http`, too. */
  get places(): DoorPlace[] {
    return this.open.map(({ kind, listener }) => ({ kind, endpoint: endpointOf(kind, listener) }));
  }

  /** Open ones of each kind of door. */
  get connections(): ReadonlyMap<string, number> {
    const counts = new Map(this.open.map(({ kind }) => [kind, 0]));
    for (const kind of this.sockets.values()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return counts;
  }

  /** Ends the streams of those whose credentials do not hold any more. */
  expelLapsed(): void {
    this.clients.lapses.expel();
  }

  useTls(tls: TlsMaterial): void {
    for (const { listener } of this.open) listener.useTls(tls);
  }

  /** Takes nothing new, answers what was accepted, and closes; after `graceMs` it closes whatever is not answered. */
  async close(graceMs: number): Promise<void> {
    this.kserve.drain();
    const closed = this.open.map(({ listener }) => listener.close());
    const drained = Promise.all(this.open.map(({ door }) => door.drain()));
    let late: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      late = setTimeout(resolve, graceMs);
    });
    await Promise.race([drained, over]);
    clearTimeout(late);
    this.clients.close();
    this.kserve.close();
    for (const { door } of this.open) door.close();
    for (const socket of this.sockets.keys()) socket.destroy();
    await Promise.all([...closed, this.json.close()]);
  }

  private async openOne(
    kind: DoorKind,
    spec: ListenSpec,
    tls: TlsMaterial | undefined,
  ): Promise<void> {
    const door = await this.doorOf(kind);
    const { connectionsMax, handshakeMs } = this.host;
    const bounds = { connectionsMax, handshakeMs, protocols: door.alpn };
    const listener = await Listener.open(spec, tls, bounds, {
      onArrival: (socket) => {
        this.newcomers.add(socket);
      },
      onStream: (stream, arrived, peer) => {
        this.take(kind, door, spec, stream, arrived, peer);
      },
      onTrouble: (what) => {
        this.host.log.add(what, { level: 'warn' });
      },
    });
    this.open.push({ kind, door, listener });
  }

  /** What a door needs is loaded when there is one. */
  private async doorOf(kind: DoorKind): Promise<Door> {
    const { clients, kserve, requests } = this;
    const { limits, metricsTenants } = this.settings;
    if (kind === 'grpc') {
      const { openGrpcDoor } = await import('./grpc/open-grpc-door.js');
      return openGrpcDoor(kserve, clients, requests, limits);
    }
    const { HttpDoor } = await import('./http/http-door.js');
    const { metrics } = this.host;
    if (kind === 'metrics' && metrics !== undefined) {
      const { metricsRoutes } = await import('./metrics/metrics-routes.js');
      return new HttpDoor(metricsRoutes(metrics, metricsTenants), clients, requests, limits);
    }
    const { kserveRoutes } = await import('./http/routes.js');
    return new HttpDoor(kserveRoutes(kserve, this.json), clients, requests, limits);
  }

  private take(
    kind: DoorKind,
    door: Door,
    spec: ListenSpec,
    stream: Socket,
    arrived: Socket,
    peer: Peer,
  ): void {
    const late = setTimeout(() => stream.destroy(), this.settings.limits.firstRequestMs);
    const isLocal = spec.kind === 'unix' && !spec.isVsock;
    const number = this.host.nextConnection();
    const listener = listenerName(spec);
    const connection = new DoorConnection(peer, number, listener, isLocal, stream, {
      onAsked: () => {
        clearTimeout(late);
        this.newcomers.remove(arrived);
        this.askers.add(arrived);
      },
      onEntered: (tenant) => {
        this.host.audit?.add('connected', { tenant, connection: number, peer: peer.address });
      },
      onLeft: (tenant) => {
        this.host.audit?.add('disconnected', { tenant, connection: number });
      },
      onGreeted: () => {
        clearTimeout(late);
        this.newcomers.remove(arrived);
        this.askers.remove(arrived);
      },
    });
    this.sockets.set(stream, kind);
    stream.once('close', () => {
      clearTimeout(late);
      this.sockets.delete(stream);
    });
    // Whoever breaks off is nobody's trouble but his own.
    stream.on('error', () => undefined);
    door.accept(stream, connection);
  }
}
