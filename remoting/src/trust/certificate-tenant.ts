import type { X509Certificate } from 'node:crypto';

import { tenantNamePattern } from './tenant-name.js';

/** Names a tenant in a certificate: a URI among its subject alternative names. */
export const tenantUriPrefix = 'axle:tenant:';

/** The tenant that a certificate names; undefined where it names none, or more than one. */
export function certificateTenant(certificate: X509Certificate): string | undefined {
  const names = uris(certificate.subjectAltName ?? '')
    .filter((uri) => uri.startsWith(tenantUriPrefix))
    .map((uri) => uri.slice(tenantUriPrefix.length));
  const [name = ''] = names;
  return names.length === 1 && tenantNamePattern.test(name) ? name : undefined;
}

/** Node quotes a value that holds what separates values; without that, a name could pretend to be two. */
function uris(subjectAltName: string): string[] {
  return subjectAltName
    .replace(/"(?:[^"\\]|\\.)*"/g, '')
    .split(', ')
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length));
}
