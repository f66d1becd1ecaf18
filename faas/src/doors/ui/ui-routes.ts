import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import type { FunctionCalls } from '../../calls/function-calls.js';
import type { Functions } from '../../functions/functions.js';
import type { GatewayMetrics } from '../../metrics/gateway-metrics.js';
import { sendJson, type Exchange } from '../exchange.js';
import type { Route } from '../routes.js';
import type { PoolSample, SamplePool } from './pool-sample.js';
import { uiFunction, type UiState } from './ui-state.js';

export interface UiOptions {
  readonly functions: Functions;
  readonly host: Pick<FunctionCalls, 'report'>;
  readonly metrics: GatewayMetrics;
  readonly samplePool?: SamplePool | undefined;
}

const pages = new URL('../../../ui/', import.meta.url);
const scripts = new URL('dist/', pages);

/** Nothing else is served: no name of a request becomes a path. */
const files: Readonly<Record<string, readonly [URL, string]>> = {
  '/ui': [new URL('index.html', pages), 'text/html; charset=utf-8'],
  '/ui/style.css': [new URL('style.css', pages), 'text/css; charset=utf-8'],
  ...Object.fromEntries(
    ['main', 'function-table', 'pool-view', 'playground', 'result-view', 'rates', 'elements'].map(
      (name) => [
        `/ui/${name}.js`,
        [new URL(`${name}.js`, scripts), 'text/javascript; charset=utf-8'] as const,
      ],
    ),
  ),
};

/** Own files only, no frames of others, and pictures that were just made. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; " +
  "form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/** The page at /ui, and what it looks at every second. For whoever has the password. */
export function uiRoutes(options: UiOptions): readonly Route[] {
  const read = new UiStateReader(options);
  return [
    ...Object.entries(files).map(([path, [file, type]]) => ({
      method: 'GET',
      path: new RegExp(`^${path}$`),
      handle: (exchange: Exchange) => sendFile(exchange, file, type),
    })),
    {
      method: 'GET',
      path: /^\/ui\/state$/,
      handle: async (exchange) => sendJson(exchange, 200, await read.state()),
    },
  ];
}

async function sendFile({ response }: Exchange, file: URL, type: string): Promise<void> {
  const body = await readFile(fileURLToPath(file));
  response.writeHead(200, {
    'content-type': type,
    'content-length': body.byteLength,
    'content-security-policy': contentSecurityPolicy,
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  });
  response.end(body);
}

/** Pages that are open together get the same sample of the pool. */
class UiStateReader {
  private sampling: Promise<Pick<UiState, 'pool' | 'poolTrouble'>> | undefined;

  constructor(private readonly options: UiOptions) {}

  async state(): Promise<UiState> {
    const { functions, host, metrics } = this.options;
    const pool = await this.pool();
    const shown = functions.list().map((deployment) => {
      const { name } = deployment;
      const failure = functions.failureOf(name);
      return uiFunction(deployment, host.report(name), metrics.figures(name), failure);
    });
    const broken = functions
      .listBroken()
      .map(({ name, failure }) =>
        uiFunction({ name, image: '' }, undefined, metrics.figures(name), failure),
      );
    return { atMs: performance.now(), functions: [...shown, ...broken], ...pool };
  }

  private pool(): Promise<Pick<UiState, 'pool' | 'poolTrouble'>> {
    this.sampling ??= this.samplePool().finally(() => {
      this.sampling = undefined;
    });
    return this.sampling;
  }

  private async samplePool(): Promise<Pick<UiState, 'pool' | 'poolTrouble'>> {
    const { samplePool } = this.options;
    if (samplePool === undefined)
      return { pool: null, poolTrouble: 'no pool that tells of itself' };
    try {
      const pool: PoolSample = await samplePool();
      return { pool, poolTrouble: '' };
    } catch (error) {
      return { pool: null, poolTrouble: (error as Error).message };
    }
  }
}
