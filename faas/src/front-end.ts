import { join, resolve } from 'node:path';

import { AxleError } from 'axle';

import { AsyncCalls, type AsyncCallsOptions } from './async/async-calls.js';
import { asyncIncomingBytesMax } from './async/async-limits.js';
import { CallStore } from './async/call-store.js';
import { BundleStore } from './bundles/bundle-store.js';
import { FunctionCalls } from './calls/function-calls.js';
import { BasicAuth } from './doors/basic-auth.js';
import { bundleRoutes } from './doors/bundles/bundle-routes.js';
import { deadLetterRoutes } from './doors/dead-letter-routes.js';
import { sendText, type Exchange } from './doors/exchange.js';
import { failureLog } from './doors/failure-log.js';
import { connectionsMax } from './doors/door-limits.js';
import { HttpServer, type Address } from './doors/http-server.js';
import { LambdaDoor } from './doors/lambda/lambda-door.js';
import { connectionsRoom } from './doors/open-files.js';
import { AsyncRoute } from './doors/openfaas/async-route.js';
import { CallRoute } from './doors/openfaas/call-route.js';
import { systemRoutes } from './doors/openfaas/system-routes.js';
import { ReceiveBudget } from './doors/receive-budget.js';
import { route } from './doors/routes.js';
import { checkSameSite } from './doors/same-site.js';
import type { SamplePool } from './doors/ui/pool-sample.js';
import { uiRoutes } from './doors/ui/ui-routes.js';
import type { Deployment } from './functions/deployment.js';
import { DeploymentStore } from './functions/deployment-store.js';
import { Functions } from './functions/functions.js';
import type { InstanceProvider, PoolAccess } from './instances/instance.js';
import { FunctionLogs } from './logs/function-logs.js';
import { countedCalls } from './metrics/counted-calls.js';
import { GatewayMetrics } from './metrics/gateway-metrics.js';
import { SecretStore } from './secrets/secret-store.js';

/** Who may deploy: OpenFaaS's clients know no other. */
export const frontEndUser = 'admin';

/** What takes the password; a browser that has it sends it along with whatever any page asks for. */
const adminPaths = /^\/(system|axle|ui)(\/|$)/;

export interface FrontEndOptions {
  /** A folder that is this front end's alone; a relative path is from where the process is now. */
  readonly state: string;
  readonly gateway: Address;
  /** Undefined: no metrics. */
  readonly metrics: Address | undefined;
  readonly password: string;
  readonly provider: InstanceProvider;
  /** Where instances of a function find devices; undefined: nowhere. */
  readonly poolOf?: (deployment: Deployment) => Promise<PoolAccess>;
  /** Lets the pool load models while an instance boots. */
  readonly prefetch?: (deployment: Deployment, models: readonly string[]) => void;
  /** For the page; undefined: it shows no pool. */
  readonly samplePool?: SamplePool | undefined;
  /** Hosts that callbacks may go to; undefined: any. */
  readonly callbackHosts?: readonly string[] | undefined;
  /** Of asynchronous calls: tries, and the time between them. */
  readonly asynchronous?: Pick<AsyncCallsOptions, 'attemptsMax' | 'backOffMs' | 'callsMax'>;
  /** Of all bundles together, each content once; default 8 GiB. */
  readonly bundleBytesMax?: number | undefined;
  readonly version: string;
  /** Of the sources that this was built from, where it is known. */
  readonly commit?: string | undefined;
  /** What the operator is told. */
  readonly log: (message: string) => void;
}

interface Parts {
  readonly functions: Functions;
  readonly host: FunctionCalls;
  readonly asyncCalls: AsyncCalls;
  readonly servers: readonly HttpServer[];
}

/** Functions, the calls to them, and the doors by which both come in. */
export class FrontEnd {
  private constructor(private readonly parts: Parts) {}

  /** @throws AxleError FAILED_PRECONDITION where another front end has the state, or a port is taken; DATA_LOSS. */
  static async start(options: FrontEndOptions): Promise<FrontEnd> {
    const { password, provider, poolOf, prefetch, log } = options;
    // Instances work in folders of their own, where another path would lead elsewhere.
    const state = resolve(options.state);
    // First: it tells whether another front end has the folder.
    const callStore = await CallStore.open(join(state, 'queue'), log);
    const bundles = await BundleStore.open(join(state, 'bundles'), {
      bytesMax: options.bundleBytesMax,
    });
    const deployments = await DeploymentStore.open(join(state, 'deployments'));
    const secrets = await SecretStore.open(join(state, 'secrets'));
    const logs = new FunctionLogs();
    const failed = failureLog(log);
    const host = new FunctionCalls({
      provider,
      prepare: async (deployment) => {
        // At once: a call waits for all of them.
        const [bundle, secretsRead, pool] = await Promise.all([
          bundles.load(deployment.bundleId),
          secrets.read(deployment.secrets),
          poolOf?.(deployment),
        ]);
        return { bundle, secrets: secretsRead, pool };
      },
      log: (name, line) => logs.write(name, line),
      failed,
      ...(prefetch === undefined ? {} : { prefetch }),
    });
    const functions = await Functions.open({ deployments, bundles, secrets, host, log });
    const asyncCalls = new AsyncCalls(callStore, {
      ...options.asynchronous,
      calls: countedCalls(functions, () => metrics),
      deploymentOf: (name) => functions.get(name),
      log,
    });
    const metrics: GatewayMetrics = new GatewayMetrics({
      reports: () => functions.list().map(({ name }) => ({ name, report: host.report(name) })),
      queued: () => asyncCalls.counts,
    });
    const servers: HttpServer[] = [];
    const frontEnd = new FrontEnd({ functions, host, asyncCalls, servers });
    try {
      await asyncCalls.start();
      const auth = new BasicAuth(frontEndUser, password);
      const { version, commit = '', callbackHosts } = options;
      const budget = new ReceiveBudget(asyncIncomingBytesMax);
      const calls = new CallRoute({ functions, calls: functions, metrics, auth, failed });
      const asynchronous = new AsyncRoute({ functions, asyncCalls, auth, callbackHosts, budget });
      const credentials = { accessKeyId: frontEndUser, secretAccessKey: password };
      const lambda = new LambdaDoor({
        ...{ functions, asyncCalls, logs, metrics, credentials, budget, failed },
      });
      const routes = [
        ...systemRoutes({ functions, host, secrets, logs, metrics, version, commit }),
        ...bundleRoutes({ bundles, functions }),
        ...deadLetterRoutes(asyncCalls),
        ...uiRoutes({ functions, host, metrics, samplePool: options.samplePool }),
      ];
      const handle = (exchange: Exchange): Promise<void> | void => {
        const { path } = exchange;
        if (path.startsWith('/function/')) return calls.handle(exchange);
        if (path.startsWith('/async-function/')) return asynchronous.handle(exchange);
        if (path.startsWith('/2015-03-31/')) return lambda.handle(exchange);
        if (path === '/healthz') return sendText(exchange, 200, 'OK\n');
        if (adminPaths.test(path)) {
          checkSameSite(exchange.request);
          auth.check(exchange.request.headers.authorization);
        }
        return route(routes, exchange);
      };
      const room = connectionsRoom();
      if (room < connectionsMax) {
        log(
          `the files that may be open (ulimit -n) leave room for ${room} connections at once, and not ${connectionsMax}`,
        );
      }
      servers.push(await HttpServer.listen(options.gateway, handle, failed));
      if (options.metrics !== undefined) {
        servers.push(
          await HttpServer.listen(
            options.metrics,
            (exchange) => sendMetrics(exchange, metrics),
            failed,
          ),
        );
      }
    } catch (error) {
      await frontEnd.close(0);
      throw error;
    }
    return frontEnd;
  }

  get url(): string {
    return (this.parts.servers[0] as HttpServer).url;
  }

  get metricsUrl(): string | undefined {
    return this.parts.servers[1]?.url;
  }

  get functionCount(): number {
    return this.parts.functions.count;
  }

  /** Takes nothing new; calls at work have `graceMs` to end. Asynchronous ones that are not done then are on disk for the next start. */
  async close(graceMs: number): Promise<void> {
    const { servers, asyncCalls, host } = this.parts;
    await Promise.all([
      ...servers.map((server) => server.close(graceMs)),
      asyncCalls.close(graceMs),
    ]);
    await host.close(0);
  }
}

async function sendMetrics(exchange: Exchange, { registry }: GatewayMetrics): Promise<void> {
  if (exchange.path !== '/metrics') {
    throw AxleError.expected('NOT_FOUND', 'there is only /metrics here');
  }
  sendText(exchange, 200, await registry.metrics(), { 'content-type': registry.contentType });
}
