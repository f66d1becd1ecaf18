import type { AuditLog } from '../log/audit-log.js';
import type { TrustSettings } from '../trust/authenticator.js';
import type { TenantSettings } from '../trust/tenants.js';
import { tokenState, type TokenRecord } from '../trust/tokens.js';

/** Tells the audit log what is different in settings that were read again. */
export function auditChanges(audit: AuditLog, before: TrustSettings, after: TrustSettings): void {
  auditTokens(audit, before.tokens?.records ?? [], after.tokens?.records ?? []);
  const { others, limits } = before.tenancy;
  const changes = [
    ['limits', changesOf(limits, after.tenancy.limits)],
    ['others', changesOf(flat(others), flat(after.tenancy.others))],
  ] as const;
  for (const [of, changed] of changes) {
    if (Object.keys(changed).length > 0) audit.add('quotas changed', { of, changed });
  }
  auditTenants(audit, before.tenancy.named, after.tenancy.named);
}

/** Tells of tokens whose time ended since. @param since, now milliseconds since 1970 */
export function auditExpired(
  audit: AuditLog,
  { tokens }: TrustSettings,
  since: number,
  now: number,
): void {
  for (const record of tokens?.records ?? []) {
    if (tokenState(record, since) === 'valid' && tokenState(record, now) === 'expired') {
      audit.add('token expired', told(record));
    }
  }
}

function auditTokens(
  audit: AuditLog,
  before: readonly TokenRecord[],
  after: readonly TokenRecord[],
): void {
  const known = new Map(before.map((record) => [record.id, record]));
  for (const record of after) {
    const was = known.get(record.id);
    known.delete(record.id);
    if (was === undefined) audit.add('token created', told(record));
    if (record.revoked !== null && (was?.revoked ?? null) === null)
      audit.add('token revoked', told(record));
  }
  for (const record of known.values()) audit.add('token removed', told(record));
}

function auditTenants(
  audit: AuditLog,
  before: ReadonlyMap<string, TenantSettings>,
  after: ReadonlyMap<string, TenantSettings>,
): void {
  for (const [tenant, settings] of after) {
    const was = before.get(tenant);
    if (was === undefined) {
      audit.add('tenant added', { tenant, settings });
      continue;
    }
    const changed = changesOf(flat(was), flat(settings));
    if (Object.keys(changed).length > 0) audit.add('tenant changed', { tenant, changed });
  }
  for (const tenant of before.keys()) {
    if (!after.has(tenant)) audit.add('tenant removed', { tenant });
  }
}

/** What there is to know of a token without its hash. */
function told({ id, tenant, expires, mayActFor }: TokenRecord) {
  return { token: id, tenant, expires, mayActFor };
}

function flat({ quotas, rates, slice, ...settings }: TenantSettings) {
  return { ...settings, ...quotas, ...rates, ...slice };
}

function changesOf(before: object, after: object): Record<string, readonly [unknown, unknown]> {
  const [old, next] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  const changed: Record<string, readonly [unknown, unknown]> = {};
  for (const key of new Set([...old.keys(), ...next.keys()])) {
    const pair = [old.get(key), next.get(key)] as const;
    if (pair[0] !== pair[1]) changed[key] = pair;
  }
  return changed;
}
