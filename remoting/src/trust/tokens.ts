import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

import { isTenantName } from './tenant-name.js';

/** What is kept of a token: nothing from which it could be made again. */
export interface TokenRecord {
  /** Part of the token, and no secret. */
  readonly id: string;
  readonly tenant: string;
  /** Of the whole token, in hex. */
  readonly sha256: string;
  /** ISO 8601. */
  readonly created: string;
  /** ISO 8601; null: never. */
  readonly expires: string | null;
  /** ISO 8601; null: it was not. */
  readonly revoked: string | null;
  /** Tenants that its holder may speak for, `*` for all: a relay's. */
  readonly mayActFor: readonly string[];
  /** For people. */
  readonly note: string;
}

const idBytes = 8;
const secretBytes = 32;
const tokenPattern = /^axle_([0-9a-f]{16})_[\w-]{43}$/;
const hashBytes = 32;

/** @returns the token, which is not kept anywhere, and what is. */
export function createToken(
  fields: Pick<TokenRecord, 'tenant' | 'expires' | 'mayActFor' | 'note'>,
  now: Date,
): { token: string; record: TokenRecord } {
  const id = randomBytes(idBytes).toString('hex');
  const token = `axle_${id}_${randomBytes(secretBytes).toString('base64url')}`;
  const sha256 = hashOf(token).toString('hex');
  return { token, record: { id, sha256, created: now.toISOString(), revoked: null, ...fields } };
}

/** The id in what may be a token; undefined where it is none. */
export function tokenId(token: string): string | undefined {
  return tokenPattern.exec(token)?.[1];
}

/** Whether a token is of use. */
export type TokenState = 'valid' | 'expired' | 'revoked';

/** @param now milliseconds since 1970 */
export function tokenState(
  { expires, revoked }: Pick<TokenRecord, 'expires' | 'revoked'>,
  now: number,
): TokenState {
  if (revoked !== null) return 'revoked';
  return expires !== null && Date.parse(expires) <= now ? 'expired' : 'valid';
}

export function mayActFor({ mayActFor }: TokenRecord, tenant: string): boolean {
  return isTenantName(tenant) && (mayActFor.includes('*') || mayActFor.includes(tenant));
}

/** The tokens that a server knows. */
export class TokenTable {
  private readonly byId: ReadonlyMap<string, TokenRecord>;

  constructor(readonly records: readonly TokenRecord[]) {
    this.byId = new Map(records.map((record) => [record.id, record]));
  }

  /**
   * The record of a token, whatever its state; undefined where there is none. Takes the same time for any token of the
   * right form. One round of SHA-256 is enough: there are 2^256 secrets, so none is found by trying.
   */
  find(token: Uint8Array): TokenRecord | undefined {
    const id = tokenId(Buffer.from(token).toString('latin1'));
    const record = id === undefined ? undefined : this.byId.get(id);
    const expected = record === undefined ? noHash : Buffer.from(record.sha256, 'hex');
    return timingSafeEqual(hashOf(token), expected) ? record : undefined;
  }

  /** The record under which a connection was opened, as it is now. */
  current({ id, sha256 }: TokenRecord): TokenRecord | undefined {
    const record = this.byId.get(id);
    return record?.sha256 === sha256 ? record : undefined;
  }
}

/** What no token hashes to, as far as anyone knows. */
const noHash = Buffer.alloc(hashBytes);

function hashOf(token: string | Uint8Array): Buffer {
  return createHash('sha256').update(token).digest();
}
