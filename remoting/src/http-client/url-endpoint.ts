import type { Endpoint } from '../endpoint.js';

export interface UrlEndpoint<P extends string> {
  readonly protocol: P;
  readonly endpoint: Endpoint;
}

/**
 * Reads `SCHEME://HOST[:PORT]`, `SCHEMEs://HOST[:PORT]` (TLS) or `SCHEME+unix:/PATH`.
 *
 * @param ports by the schemes that there are, where the URL says none
 * @param paths that a URL with a host may have
 * @returns undefined for what is none of these, or holds credentials: URLs are logged
 */
export function urlEndpoint<P extends string>(
  text: string,
  ports: Readonly<Record<P, number>>,
  paths: readonly string[] = ['', '/'],
): UrlEndpoint<P> | undefined {
  const [, protocol = '', kind = ''] = /^([a-z]+?)(s|\+unix)?:/.exec(text) ?? [];
  if (!isOneOf(ports, protocol)) return undefined;
  const rest = text.slice(text.indexOf(':'));
  if (kind === '+unix') {
    const path = decodedPath(rest.slice(1));
    return path === undefined ? undefined : { protocol, endpoint: { kind: 'unix', path } };
  }
  // Under a scheme without a port of its own: URL leaves the standard one out of http.
  const url = URL.canParse(`door${rest}`) ? new URL(`door${rest}`) : undefined;
  const host = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  if (url === undefined || host === '' || !paths.includes(url.pathname)) return undefined;
  const { username, password, search, hash } = url;
  if ([username, password, search, hash].some((part) => part !== '')) return undefined;
  const port = url.port === '' ? ports[protocol] : Number(url.port);
  return { protocol, endpoint: { kind: kind === 's' ? 'tls' : 'tcp', host, port } };
}

function isOneOf<P extends string>(ports: Readonly<Record<P, number>>, text: string): text is P {
  return Object.hasOwn(ports, text);
}

function decodedPath(path: string): string | undefined {
  try {
    const decoded = decodeURIComponent(path);
    return decoded.startsWith('/') && !decoded.startsWith('//') ? decoded : undefined;
  } catch {
    // A '%' that escapes nothing.
    return undefined;
  }
}
