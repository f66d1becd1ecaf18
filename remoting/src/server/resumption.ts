import { systemTimers, type Timers } from '../timers.js';
import { ClientRecord, type ClientConnection } from './client-record.js';
import { KeptAnswers } from './kept-answers.js';

/** How long a client that lost its connection may come back and find its answers, milliseconds. */
export const resumeMsDefault = 60_000;
/** Clients of one tenant that lost their connection and are remembered; for one more the oldest is forgotten. */
const lostClientsMax = 1024;

interface TenantClients {
  readonly byNonce: Map<string, ClientRecord>;
  /** By when they were lost, with what forgets them in time. */
  readonly lost: Map<ClientRecord, () => void>;
  readonly answers: KeptAnswers;
}

/**
 * What a server remembers of its clients over their connections (PROTOCOL.md section 12). A nonce is known to its tenant
 * only: whoever learns one as another tenant finds nothing under it.
 */
export class Resumption {
  private readonly tenants = new Map<string, TenantClients>();

  constructor(
    readonly resumeMs: number = resumeMsDefault,
    private readonly timers: Timers = systemTimers,
  ) {}

  /** Clients that are remembered, connected or not. */
  get clients(): number {
    let clients = 0;
    for (const { byNonce } of this.tenants.values()) clients += byNonce.size;
    return clients;
  }

  /** Answers that are kept, of all clients. */
  get answers(): number {
    let kept = 0;
    for (const { answers } of this.tenants.values()) kept += answers.size;
    return kept;
  }

  /**
   * The client that says this nonce, from now on on this connection: one that it has open gives way.
   *
   * @returns undefined for the nonce of those who do not resume.
   */
  attach(
    tenant: string,
    nonce: Uint8Array,
    connection: ClientConnection,
  ): ClientRecord | undefined {
    if (nonce.every((byte) => byte === 0)) return undefined;
    const clients = this.clientsOf(tenant);
    const key = Buffer.from(nonce).toString('hex');
    const known = clients.byNonce.get(key);
    known?.connection?.supersede();
    const record = known ?? new ClientRecord(tenant, key, clients.answers);
    clients.byNonce.set(key, record);
    clients.lost.get(record)?.();
    clients.lost.delete(record);
    record.attach(connection);
    return record;
  }

  /** The connection of a client is gone: it has `resumeMs` to come back, unless it left for good. */
  lost(record: ClientRecord): void {
    const clients = this.clientsOf(record.tenant);
    if (record.hasLeft || this.resumeMs === 0) {
      this.forget(clients, record);
      return;
    }
    const forgetInTime = this.timers.after(this.resumeMs, () => {
      this.forget(clients, record);
    });
    clients.lost.set(record, forgetInTime);
    if (clients.lost.size <= lostClientsMax) return;
    const [oldest] = clients.lost.keys();
    if (oldest !== undefined) this.forget(clients, oldest);
  }

  /** Forgets all; what runs goes on. */
  close(): void {
    for (const clients of this.tenants.values()) {
      for (const record of clients.lost.keys()) this.forget(clients, record);
    }
  }

  private forget(clients: TenantClients, record: ClientRecord): void {
    clients.lost.get(record)?.();
    clients.lost.delete(record);
    record.forgetAll();
    clients.byNonce.delete(record.nonce);
    if (clients.byNonce.size === 0) this.tenants.delete(record.tenant);
  }

  private clientsOf(tenant: string): TenantClients {
    let clients = this.tenants.get(tenant);
    if (clients === undefined) {
      clients = { byNonce: new Map(), lost: new Map(), answers: new KeptAnswers() };
      this.tenants.set(tenant, clients);
    }
    return clients;
  }
}
