import { readFile, stat } from 'node:fs/promises';

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
  readonly instances?: InstanceKind | undefined;
  /** Tokens of the pool, by function. */
  readonly poolTokens?: Readonly<Record<string, string>> | undefined;
}

/** What handlers run in. */
export const instanceKinds = ['process', 'thread'] as const;
export type InstanceKind = (typeof instanceKinds)[number];

export const gatewayDefault = '127.0.0.1:8080';
export const metricsDefault = '127.0.0.1:8082';
const texts = ['gateway', 'metrics', 'pool', 'state', 'passwordFile'] as const;
const isText = (value: unknown): boolean => typeof value === 'string';
const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const areTokens = (value: unknown): value is Readonly<Record<string, string>> =>
  isObject(value) && Object.values(value).every(isText);
const tokensWanted = 'an object of texts by function';

/** What each field takes, in words and as a rule. */
const fieldsKnown: Readonly<Record<string, readonly [string, (value: unknown) => boolean]>> = {
  ...Object.fromEntries(texts.map((name) => [name, ['a text', isText] as const])),
  callbackHosts: ['a list of texts', (value) => Array.isArray(value) && value.every(isText)],
  instances: [
    instanceKinds.join(' or '),
    (value) => (instanceKinds as readonly unknown[]).includes(value),
  ],
  poolTokens: [tokensWanted, areTokens],
};

/** @throws FileError naming the field. */
export async function readFaasSettings(path: string): Promise<FaasSettings> {
  const fields = await readJson(path);
  if (!isObject(fields)) throw wrong(path, 'is to hold one object');
  for (const [name, value] of Object.entries(fields)) {
    const [wanted, isRight] = Object.hasOwn(fieldsKnown, name) ? (fieldsKnown[name] ?? []) : [];
    if (isRight === undefined) {
      const all = Object.keys(fieldsKnown).join(', ');
      throw wrong(path, `has '${name}', which is not known; there are ${all}`);
    }
    if (!isRight(value)) throw wrong(path, `: '${name}' takes ${wanted}`);
  }
  return fields;
}

/** Tokens in it, such as `poolTokens`, are for the operator alone. @returns what to tell where others may read them */
export async function openToOthers(path: string): Promise<string | undefined> {
  const { mode } = await stat(path);
  return (mode & 0o077) === 0
    ? undefined
    : `${path} has tokens, and others may read or write it: chmod 600 ${path}`;
}

/** As `poolTokens` has them, in a file of their own. @throws FileError */
export async function readPoolTokens(path: string): Promise<Readonly<Record<string, string>>> {
  const tokens = await readJson(path);
  if (areTokens(tokens)) return tokens;
  throw wrong(path, `is to hold ${tokensWanted}, such as { "hello": "..." }`);
}

/** What a parser quotes of a text that is no JSON may be of a token. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw wrong(path, 'is no JSON');
    throw fileFailure(error, path);
  }
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
    instances: options.instances ?? file.instances ?? instanceKinds[0],
    poolTokens: options.poolTokens ?? file.poolTokens,
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
