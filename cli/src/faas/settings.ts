import { readFile } from 'node:fs/promises';

import { FileError, fileFailure, UsageError } from '../failure.js';
import { defaultState } from '../gateway/password.js';

/** What `axle faas` is told, by options before its file. */
export interface FaasSettings {
  readonly gateway?: string | undefined;
  readonly metrics?: string | undefined;
  readonly pool?: string | undefined;
  readonly state?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly callbackHosts?: readonly string[] | undefined;
}

export const gatewayDefault = '127.0.0.1:8080';
export const metricsDefault = '127.0.0.1:8082';
const texts = ['gateway', 'metrics', 'pool', 'state', 'passwordFile'] as const;
const known: readonly string[] = [...texts, 'callbackHosts'];

/** @throws FileError naming the field. */
export async function readFaasSettings(path: string): Promise<FaasSettings> {
  let fields: unknown;
  try {
    fields = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw wrong(path, `is no JSON: ${error.message}`);
    throw fileFailure(error, path);
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
    throw wrong(path, 'is to hold one object');
  for (const [name, value] of Object.entries(fields)) {
    if (!known.includes(name))
      throw wrong(path, `has '${name}', which is not known; there are ${known.join(', ')}`);
    const isRight =
      name === 'callbackHosts'
        ? Array.isArray(value) && value.every((each) => typeof each === 'string')
        : typeof value === 'string';
    if (!isRight)
      throw wrong(
        path,
        `: '${name}' takes ${name === 'callbackHosts' ? 'a list of texts' : 'a text'}`,
      );
  }
  return fields;
}

/** Options go before the file, and defaults behind it. */
export function mergedSettings(options: FaasSettings, file: FaasSettings) {
  return {
    gateway: options.gateway ?? file.gateway ?? gatewayDefault,
    metrics: options.metrics ?? file.metrics ?? metricsDefault,
    pool: options.pool ?? file.pool,
    state: options.state ?? file.state ?? defaultState(),
    passwordFile: options.passwordFile ?? file.passwordFile,
    callbackHosts: file.callbackHosts,
  };
}

/** @throws UsageError */
export function addressOf(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):(\d{1,5})$/.exec(text) ?? [];
  if (host !== '' && Number(port) <= 65_535) {
    return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
  }
  throw new UsageError(`'${text}' is no HOST:PORT, such as ${gatewayDefault}`);
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

function wrong(path: string, what: string): FileError {
  return new FileError('INVALID_ARGUMENT', `${path} ${what}`);
}
