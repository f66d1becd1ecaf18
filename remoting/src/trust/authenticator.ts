import { AxleError } from '@axle/core/internal';

import type { HelloFrame } from '../wire/frames.js';
import { anonymousTenant, isTenantName } from './tenant-name.js';
import { Tenants, type TenancySettings, type Tenant } from './tenants.js';
import { mayActFor, tokenState, type TokenRecord, type TokenTable } from './tokens.js';

/** What a connection shows of its client before the client has said anything. */
export interface Peer {
  /** For logs: an address, or the path of a socket. */
  readonly address: string;
  /** Whom whoever reaches the listener is taken for, unless it shows other credentials. */
  readonly listenerTenant: string | undefined;
  /** The listener neither protects nor asks: as its tenant, but only where there are no tokens. */
  readonly insecure: boolean;
  /** That the client proved to have. */
  readonly certificate: PeerCertificate | undefined;
}

export interface PeerCertificate {
  /** Undefined: it names none. */
  readonly tenant: string | undefined;
  /** Why it does not count; undefined: it is good. */
  readonly problem: string | undefined;
  /** Milliseconds since 1970. */
  readonly validUntil: number;
}

/** Who a client is, and by what that is known. */
export interface Identity {
  readonly tenant: Tenant;
  readonly token: TokenRecord | undefined;
  readonly certificate: PeerCertificate | undefined;
}

export interface TrustSettings {
  readonly tenancy: TenancySettings;
  /** Undefined: the server takes none. */
  readonly tokens: TokenTable | undefined;
}

/** Says who clients are. All that it does not know is refused with the same words, whatever was wrong. */
export class Authenticator {
  private readonly tenants: Tenants;
  private tokens: TokenTable | undefined;

  /**
   * @param clock milliseconds since 1970
   * @param onRefused told what was wrong: for the operator, never for the client
   */
  constructor(
    { tenancy, tokens }: TrustSettings,
    private readonly clock: () => number,
    private readonly onRefused: (peer: Peer, reason: string) => void,
  ) {
    this.tenants = new Tenants(tenancy);
    this.tokens = tokens;
  }

  get tenantsSeen(): Iterable<Tenant> {
    return this.tenants.all;
  }

  /** Whoever it is. */
  tenant(name: string): Tenant {
    return this.tenants.get(name);
  }

  /** From now on. Who is in is asked for with `lapsed`. */
  update({ tenancy, tokens }: TrustSettings): void {
    this.tenants.update(tenancy);
    this.tokens = tokens;
  }

  /** @throws AxleError UNAUTHENTICATED; PERMISSION_DENIED for a tenant that the credentials may not act for. */
  identify(hello: Pick<HelloFrame, 'credential' | 'token' | 'tenant'>, peer: Peer): Identity {
    const token = hello.credential === 'TOKEN' ? this.tokenOf(hello.token, peer) : undefined;
    const name = token?.tenant ?? this.nameOf(peer);
    this.checkCertificate(peer, name);
    const tenant = this.tenants.get(this.actingFor(hello.tenant, name, token, peer));
    if (tenant.settings.disabled) throw this.refused(peer, `tenant ${tenant.name} is disabled`);
    return { tenant, token, certificate: peer.certificate };
  }

  /** Why an identity does not hold any more; undefined: it does. */
  lapsed({ tenant, token, certificate }: Identity): AxleError | undefined {
    if (tenant.settings.disabled) return ended('the tenant was disabled');
    if (token !== undefined) {
      const record = this.tokens?.current(token);
      if (record?.tenant !== token.tenant) return ended('its token was taken away');
      const state = tokenState(record, this.clock());
      if (state !== 'valid') return ended(`its token is ${state}`);
      if (tenant.name !== token.tenant && !mayActFor(record, tenant.name)) {
        return ended('its token may not act for the tenant any more');
      }
    }
    if (certificate !== undefined && certificate.validUntil <= this.clock()) {
      return ended('its certificate has expired');
    }
    return undefined;
  }

  private tokenOf(bytes: Uint8Array, peer: Peer): TokenRecord {
    const token = this.tokens?.find(bytes);
    if (token === undefined) throw this.refused(peer, 'its token is not known');
    const state = tokenState(token, this.clock());
    if (state !== 'valid') throw this.refused(peer, `token ${token.id} is ${state}`);
    return token;
  }

  /** Without a token. */
  private nameOf(peer: Peer): string {
    const { certificate, listenerTenant, insecure } = peer;
    if (certificate?.tenant !== undefined) return certificate.tenant;
    if (listenerTenant !== undefined) return listenerTenant;
    if (insecure && this.tokens === undefined) return anonymousTenant;
    const shown = certificate === undefined ? 'no token' : 'a certificate of no tenant';
    throw this.refused(peer, `it showed ${shown}`);
  }

  /** Credentials that contradict each other are no credentials. */
  private checkCertificate(peer: Peer, tenant: string): void {
    const { certificate } = peer;
    if (certificate === undefined) return;
    const { problem } = certificate;
    if (problem !== undefined) throw this.refused(peer, `its certificate: ${problem}`);
    if (certificate.tenant !== undefined && certificate.tenant !== tenant) {
      throw this.refused(
        peer,
        `its certificate is of ${certificate.tenant}, its token of ${tenant}`,
      );
    }
  }

  private actingFor(
    wanted: string,
    own: string,
    token: TokenRecord | undefined,
    peer: Peer,
  ): string {
    if (wanted === '' || wanted === own) return own;
    if (token !== undefined && isTenantName(wanted) && mayActFor(token, wanted)) return wanted;
    this.onRefused(peer, `${own} may not act for another tenant`);
    throw AxleError.expected(
      'PERMISSION_DENIED',
      'these credentials may not act for another tenant; name none, or have a token made with --may-act-for',
    );
  }

  private refused(peer: Peer, reason: string): AxleError {
    this.onRefused(peer, reason);
    return AxleError.expected(
      'UNAUTHENTICATED',
      'the server does not know these credentials, or they are not good any more; give a token (AXLE_TOKEN) or a ' +
        'certificate (AXLE_TLS_CERT, AXLE_TLS_KEY) of a tenant of this server',
    );
  }
}

function ended(why: string): AxleError {
  return AxleError.expected('UNAUTHENTICATED', `the connection was ended: ${why}`);
}
