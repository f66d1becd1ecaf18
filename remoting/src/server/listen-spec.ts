import { AxleError } from '@axle/core/internal';

import { defaultPort } from '../endpoint.js';

/** Where a server listens, and for whom. */
export type ListenSpec =
  | {
      readonly kind: 'unix';
      readonly path: string;
      /** Permissions of the socket. */
      readonly mode: number;
      /** Who whoever may open the socket is taken for. */
      readonly tenant: string;
    }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

const defaultMode = 0o600;
const defaultTenant = 'local';

/**
 * Reads `unix:PATH[,mode=0600][,tenant=NAME]` or `tcp:HOST:PORT`.
 *
 * @throws AxleError INVALID_ARGUMENT saying what it should look like.
 */
export function readListenSpec(text: string): ListenSpec {
  const [, kind = '', rest = ''] = /^(unix|tcp):(.*)$/s.exec(text) ?? [];
  if (kind === 'unix') return readUnix(rest, text);
  if (kind === 'tcp') return readTcp(rest, text);
  throw wrong(text, 'give unix:PATH or tcp:HOST:PORT');
}

function readUnix(rest: string, text: string): ListenSpec {
  const [path = '', ...options] = rest.split(',');
  if (path === '') throw wrong(text, 'a path follows unix:');
  let mode = defaultMode;
  let tenant = defaultTenant;
  for (const option of options) {
    const [, key = '', value = ''] = /^(mode|tenant)=(.+)$/.exec(option) ?? [];
    if (key === 'mode' && /^0?[0-7]{3}$/.test(value)) mode = parseInt(value, 8);
    else if (key === 'tenant' && /^[\w.-]{1,127}$/.test(value)) tenant = value;
    else throw wrong(text, `'${option}' is neither mode=0600 nor tenant=NAME`);
  }
  return { kind: 'unix', path, mode, tenant };
}

function readTcp(rest: string, text: string): ListenSpec {
  const [, host = '', port = String(defaultPort)] =
    /^(\[[0-9a-fA-F:.]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(rest) ?? [];
  if (host === '' || Number(port) > 65535) throw wrong(text, 'give tcp:HOST:PORT');
  return { kind: 'tcp', host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

function wrong(text: string, advice: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', `cannot listen on '${text}': ${advice}`);
}
