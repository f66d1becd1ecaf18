import { AxleError } from '@axle/core/internal';

import { defaultPort } from '../endpoint.js';
import { socketPathProblem } from '../socket-path.js';
import { anonymousTenant, isTenantName } from '../trust/tenant-name.js';

/** Where a server listens, and for whom. */
export type ListenSpec = UnixSpec | TcpSpec;

interface SaidSpec {
  /** Where the operator said it, for messages: `--grpc`, or the key of a file. */
  readonly source: string;
}

export interface UnixSpec extends SaidSpec {
  readonly kind: 'unix';
  readonly path: string;
  /** Permissions of the socket. */
  readonly mode: number;
  /** Who whoever may open the socket is taken for. */
  readonly tenant: string;
  /** A virtual machine monitor connects to it, for what is in its guest. */
  readonly isVsock: boolean;
  /** File with the memory of the guest that connects; undefined: it is nobody's, or not shared. */
  readonly memory: string | undefined;
}

export interface TcpSpec extends SaidSpec {
  readonly kind: 'tcp';
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** It was asked for as `tls:`, rather than not refused. */
  readonly saysTls: boolean;
  /** Who whoever can connect is taken for; undefined: clients show who they are. */
  readonly tenant: string | undefined;
}

const defaultMode = 0o600;
/** The last is the wildcard. */
const vsockPortMax = 0xffff_fffe;

/**
 * Reads `unix:PATH[,mode=0600][,tenant=NAME][,memory=FILE]`, `vsock-unix:PREFIX:PORT` with the same options,
 * `tcp:HOST:PORT[,tenant=NAME]` or the same with `tls:`.
 *
 * @param insecure `tcp:` goes without TLS.
 * @param port of `tcp:` and `tls:` where the text has none.
 * @param source where the operator said it, for messages.
 * @throws AxleError INVALID_ARGUMENT saying what it should look like.
 */
export function readListenSpec(
  text: string,
  insecure: boolean,
  port = defaultPort,
  source = '--listen',
): ListenSpec {
  const [, kind = '', rest = ''] = /^(unix|vsock-unix|tcp|tls):(.*)$/s.exec(text) ?? [];
  const [place = '', ...options] = rest.split(',');
  const said = { text, source };
  if (kind === 'unix') return readUnix(place, options, said, false);
  if (kind === 'vsock-unix') return readUnix(vsockPath(place, said), options, said, true);
  if (kind !== '') return readTcp(place, options, kind === 'tls', insecure, port, said);
  throw wrong(said, 'give unix:PATH, vsock-unix:PREFIX:PORT, tls:HOST:PORT or tcp:HOST:PORT');
}

/** What the operator wrote, and where. */
interface Said extends SaidSpec {
  readonly text: string;
}

/**
 * Of the socket at which a virtual machine monitor such as Firecracker hands over what its guest connects to port PORT of
 * the host: PREFIX_PORT, where PREFIX is the socket of its vsock device.
 */
function vsockPath(place: string, said: Said): string {
  const [, prefix = '', port = ''] = /^(.+):(\d{1,10})$/s.exec(place) ?? [];
  if (prefix === '' || Number(port) > vsockPortMax) {
    throw wrong(said, 'give vsock-unix:PREFIX:PORT, such as vsock-unix:/run/vm1/vsock:7471');
  }
  return `${prefix}_${Number(port)}`;
}

function readUnix(
  path: string,
  options: readonly string[],
  said: Said,
  isVsock: boolean,
): UnixSpec {
  if (path === '') throw wrong(said, 'a path follows unix:');
  const problem = socketPathProblem(path);
  if (problem !== undefined) throw wrong(said, problem);
  let mode = defaultMode;
  let tenant = anonymousTenant;
  let memory: string | undefined;
  for (const option of options) {
    const [, key = '', value = ''] = /^(mode|tenant|memory)=(.+)$/s.exec(option) ?? [];
    if (key === 'mode' && /^0?[0-7]{3}$/.test(value)) mode = parseInt(value, 8);
    else if (key === 'tenant' && isTenantName(value)) tenant = value;
    else if (key === 'memory') memory = value;
    else throw wrong(said, `'${option}' is none of mode=0600, tenant=NAME and memory=FILE`);
  }
  return { kind: 'unix', source: said.source, path, mode, tenant, isVsock, memory };
}

function readTcp(
  place: string,
  options: readonly string[],
  saysTls: boolean,
  insecure: boolean,
  otherwise: number,
  said: Said,
): TcpSpec {
  const [, host = '', port = String(otherwise)] =
    /^(\[[0-9a-fA-F:.]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(place) ?? [];
  if (host === '' || Number(port) > 65535) throw wrong(said, 'give tcp:HOST:PORT');
  let tenant: string | undefined;
  for (const option of options) {
    const [, value] = /^tenant=(.+)$/.exec(option) ?? [];
    if (value === undefined || !isTenantName(value))
      throw wrong(said, `'${option}' is not tenant=NAME`);
    tenant = value;
  }
  return {
    kind: 'tcp',
    source: said.source,
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port),
    tls: saysTls || !insecure,
    saysTls,
    tenant,
  };
}

function wrong({ text, source }: Said, advice: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', `cannot listen on '${text}' (${source}): ${advice}`);
}
