import { readFile } from 'node:fs/promises';

import type { Log } from '@axle/remoting';

import { fileFailure, oneLine, UsageError } from '../failure.js';
import type { NamedPlugin } from '../options.js';
import { checkModelFolders } from '../serving/model-folders.js';
import { PoolPrefetch } from './pool-prefetch.js';

/** `--pool` of functions that have no devices. */
export const noPool = 'none';

/** Where functions find devices. */
export interface FunctionPool {
  readonly metricsUrl?: string;
  access(functionName: string): Promise<{ url: string; token: string }>;
  close(): Promise<void>;
}

export interface FunctionPoolOptions {
  /** Undefined: one of this process. */
  readonly url: string | undefined;
  /** Of that server, by function; the others use `AXLE_TOKEN`. */
  readonly tokens: Readonly<Record<string, string>> | undefined;
  readonly models: readonly string[];
  readonly plugins: readonly NamedPlugin[];
  readonly log: Log;
}

/**
 * @returns undefined for none.
 * @throws UsageError for a URL that names no server, and for tokens where it names none; FileError for models that are not
 *   there.
 */
export async function openFunctionPool({
  url,
  tokens,
  ...options
}: FunctionPoolOptions): Promise<FunctionPool | undefined> {
  if (tokens !== undefined && (url === undefined || url === noPool)) {
    throw new UsageError(
      "--pool-tokens and 'poolTokens' are for the server of --pool: name it, or leave them out",
    );
  }
  if (url === noPool) return undefined;
  if (url === undefined) {
    await checkModelFolders(options.models, '--models');
    const { EmbeddedPool } = await import('./embedded-pool.js');
    const pool = await EmbeddedPool.open(options);
    return {
      metricsUrl: pool.metricsUrl,
      access: async (name) => ({ url: pool.url, token: await pool.tokenOf(name) }),
      close: () => pool.close(0),
    };
  }
  await checkServer(url);
  const shared = await sharedToken();
  if (Object.keys(tokens ?? {}).length === 0) {
    options.log(
      `all functions use ${url} as one tenant, whom AXLE_TOKEN names; --pool-tokens gives each its own`,
    );
  }
  return {
    access: (name) => Promise.resolve({ url, token: tokens?.[name] ?? shared }),
    close: () => Promise.resolve(),
  };
}

/** What the front end is told of the pool. */
export function poolAccess(pool: FunctionPool, log: Log) {
  const prefetch = new PoolPrefetch((name) => pool.access(name), log);
  return {
    poolOf: ({ name }: { readonly name: string }) => pool.access(name),
    prefetch: ({ name }: { readonly name: string }, models: readonly string[]) => {
      prefetch.begin(name, models);
    },
  };
}

/** Before functions fail one by one for it. Whether it answers only time tells: it may come later. */
async function checkServer(url: string): Promise<void> {
  const { endpointSchemes, readEndpoint } = await import('@axle/remoting');
  const advice = `--pool takes ${noPool}, or a server such as axle+unix:/PATH or axle+tls://HOST:PORT`;
  if (!URL.canParse(url) || !endpointSchemes.has(new URL(url).protocol))
    throw new UsageError(`${advice}; not '${url}'`);
  try {
    readEndpoint(new URL(url));
  } catch (error) {
    throw new UsageError(`${advice}: ${oneLine(error)}`);
  }
}

/** As other commands have it: whose it is, that server says. */
async function sharedToken(): Promise<string> {
  const { AXLE_TOKEN: token, AXLE_TOKEN_FILE: file } = process.env;
  if (token !== undefined && token !== '') return token;
  if (file === undefined || file === '') return '';
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw fileFailure(error, file);
  }
}
