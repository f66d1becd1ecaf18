import type { Socket } from 'node:net';

import { AxleError, Session, type Limits, type Runtime } from '@axle/core/internal';

import type { Authenticator, Identity, Peer } from '../trust/authenticator.js';
import type { Tenant } from '../trust/tenants.js';
import type { DoorRequest } from './door-request.js';
import { Lapses } from './lapses.js';

/** Sessions that are kept beyond their last call. */
export const sessionsMax = 4096;
/** One token, and no more. */
const credentialCharactersMax = 512;

/** For whom a request is made. */
export interface DoorClient {
  readonly identity: Identity;
  readonly tenant: Tenant;
  readonly session: Session;
  readonly request: DoorRequest;
  /** It came over a socket of this machine. */
  readonly isLocal: boolean;
}

/** What a request says of its sender; headers of HTTP and metadata of gRPC are the same. */
export interface Credentials {
  readonly authorization: string | undefined;
  /** For whom it would act; undefined: for itself. */
  readonly tenant: string | undefined;
}

/** Who keeps count of connections. */
export interface ConnectionOwner {
  /** Its first request that needs no credentials has come. */
  onAsked(): void;
  /** A tenant's first request over it has come, and then its end. */
  onEntered(tenant: string): void;
  onLeft(tenant: string): void;
  /** The first request whose sender is known has come. */
  onGreeted(): void;
}

/** One connection to a door: each tenant that made a request over it is charged for it. */
export class DoorConnection {
  private readonly tenants = new Set<Tenant>();
  private greeted = false;
  private hasAsked = false;
  private closed = false;

  /**
   * @param number of it, since the server began
   * @param listener where it came in, for the log
   * @param isLocal both ends are processes of this machine
   */
  constructor(
    readonly peer: Peer,
    readonly number: number,
    readonly listener: string,
    readonly isLocal: boolean,
    socket: Socket,
    private readonly owner: ConnectionOwner,
  ) {
    socket.once('close', () => {
      this.closed = true;
      for (const tenant of this.tenants) {
        tenant.usage.give('connections');
        owner.onLeft(tenant.name);
      }
      this.tenants.clear();
    });
  }

  /** @throws AxleError RESOURCE_EXHAUSTED past the tenant's quota. */
  enter(tenant: Tenant): void {
    // A call may outlive its connection by a moment.
    if (!this.closed && !this.tenants.has(tenant)) {
      tenant.usage.take('connections');
      this.tenants.add(tenant);
      this.owner.onEntered(tenant.name);
    }
    if (this.greeted) return;
    this.greeted = true;
    this.owner.onGreeted();
  }

  /** By anyone, for what anyone may know. */
  ask(): void {
    if (this.greeted || this.hasAsked || this.closed) return;
    this.hasAsked = true;
    this.owner.onAsked();
  }
}

/** The senders of requests. All of one tenant share one session, through whichever door they come. */
export class DoorClients {
  private readonly sessions = new Map<string, Session>();
  /** Of its streams. */
  readonly lapses: Lapses;
  private readonly limits: Limits;

  constructor(
    private readonly runtime: Runtime,
    limits: Limits,
    private readonly authenticator: Authenticator,
  ) {
    this.lapses = new Lapses(authenticator);
    // The tenant's quota of calls bounds those of all its connections together.
    this.limits = { ...limits, callsInFlightMax: Number.MAX_SAFE_INTEGER };
  }

  /** @throws AxleError UNAUTHENTICATED, PERMISSION_DENIED or RESOURCE_EXHAUSTED. */
  admit(credentials: Credentials, connection: DoorConnection, request: DoorRequest): DoorClient {
    const identity = this.authenticator.identify(helloOf(credentials), connection.peer);
    const { tenant } = identity;
    request.tenant = tenant.name;
    connection.enter(tenant);
    const { isLocal } = connection;
    return { identity, tenant, session: this.sessionOf(tenant), request, isLocal };
  }

  /** Ends what is not answered. */
  close(): void {
    for (const session of this.sessions.values()) session.close();
    this.sessions.clear();
  }

  private sessionOf({ name, settings }: Tenant): Session {
    const known = this.sessions.get(name);
    if (known !== undefined) {
      known.weight = settings.weight;
      return known;
    }
    const session = new Session(this.runtime, name, settings.weight, this.limits);
    if (this.sessions.size >= sessionsMax) this.forgetOldest();
    this.sessions.set(name, session);
    return session;
  }

  /** Its calls go on. */
  private forgetOldest(): void {
    for (const name of this.sessions.keys()) {
      this.sessions.delete(name);
      return;
    }
  }
}

const noToken = new Uint8Array(0);

function helloOf({ authorization, tenant = '' }: Credentials) {
  if (authorization === undefined || authorization === '') {
    return { credential: 'NONE', token: noToken, tenant } as const;
  }
  const [, token] = /^bearer +([\x21-\x7e]+) *$/i.exec(authorization) ?? [];
  if (token === undefined || token.length > credentialCharactersMax) {
    throw AxleError.expected(
      'UNAUTHENTICATED',
      'the authorization is no token; write authorization: Bearer TOKEN',
    );
  }
  return { credential: 'TOKEN', token: Buffer.from(token, 'latin1'), tenant } as const;
}
