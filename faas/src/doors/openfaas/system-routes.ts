import { AxleError } from 'axle';

import { isFunctionName } from '../../bundles/bundle-reference.js';
import type { FunctionCalls } from '../../calls/function-calls.js';
import { deploymentBytesMax, instancesMax } from '../../functions/deployment-limits.js';
import {
  checkNamespace,
  functionNamespace,
  parseDeploymentRequest,
} from '../../functions/deployment-request.js';
import type { Functions } from '../../functions/functions.js';
import { parseObject, textOf, type Fields } from '../../json-fields.js';
import type { FunctionLogs } from '../../logs/function-logs.js';
import type { GatewayMetrics } from '../../metrics/gateway-metrics.js';
import type { SecretStore } from '../../secrets/secret-store.js';
import { jsonBytesMax } from '../door-limits.js';
import { parameterOf, sendJson, sendText, type Exchange } from '../exchange.js';
import { readBody } from '../read-body.js';
import type { Route } from '../routes.js';
import { brokenStatus, functionStatus } from './function-status.js';
import { LogsRoute } from './logs-route.js';
import { secretRoutes } from './secret-routes.js';

export interface SystemOptions {
  readonly functions: Functions;
  readonly host: FunctionCalls;
  readonly secrets: SecretStore;
  readonly logs: FunctionLogs;
  readonly metrics: GatewayMetrics;
  readonly version: string;
  /** Of the sources; '': not known. */
  readonly commit: string;
}

const nameMax = 128;
const accepted = 202;

/** OpenFaaS's /system/, for whoever has the password. */
export function systemRoutes(options: SystemOptions): readonly Route[] {
  const { functions, host, metrics } = options;
  const release = { release: options.version, sha: options.commit };
  const statusOf = (name: string, withUsage: boolean) => {
    const broken = functions.listBroken().find((each) => each.name === name);
    return broken === undefined
      ? functionStatus(
          functions.require(name),
          host.report(name),
          functions.failureOf(name),
          withUsage,
        )
      : brokenStatus(name, broken.failure);
  };
  const logs = new LogsRoute(options);
  const functionsPath = /^\/system\/functions$/;
  return [
    {
      method: 'GET',
      path: functionsPath,
      handle(exchange) {
        checkNamespace(parameterOf(exchange, 'namespace'));
        const all = [...functions.list(), ...functions.listBroken()];
        sendJson(
          exchange,
          200,
          all.map(({ name }) => statusOf(name, false)),
        );
      },
    },
    {
      method: 'POST',
      path: functionsPath,
      handle: async (exchange) =>
        answerNotes(
          exchange,
          await functions.create(
            parseDeploymentRequest(await jsonOf(exchange, deploymentBytesMax)),
          ),
        ),
    },
    {
      method: 'PUT',
      path: functionsPath,
      handle: async (exchange) =>
        answerNotes(
          exchange,
          await functions.update(
            parseDeploymentRequest(await jsonOf(exchange, deploymentBytesMax)),
          ),
        ),
    },
    {
      method: 'DELETE',
      path: functionsPath,
      async handle(exchange) {
        const fields = parseObject(await jsonOf(exchange), 'the request');
        checkNamespace(textOf(fields['namespace'], 'namespace', nameMax));
        const name = nameOf(fields['functionName'], 'functionName');
        await functions.remove(name);
        options.logs.forget(name);
        await metrics.forget(name);
        sendText(exchange, accepted, '');
      },
    },
    {
      method: 'GET',
      path: /^\/system\/function\/([^/]+)$/,
      handle(exchange, [, name = '']) {
        checkNamespace(parameterOf(exchange, 'namespace'));
        const usage = parameterOf(exchange, 'usage');
        sendJson(exchange, 200, statusOf(bareName(name), usage === '1' || usage === 'true'));
      },
    },
    {
      method: 'POST',
      path: /^\/system\/scale-function\/([^/]+)$/,
      async handle(exchange, [, name = '']) {
        const fields = parseObject(await jsonOf(exchange), 'the request');
        const replicas = replicasOf(fields);
        const said = bareName(textOf(fields['serviceName'], 'serviceName', nameMax) ?? name);
        if (said !== bareName(name)) {
          throw new AxleError(
            'INVALID_ARGUMENT',
            `serviceName is ${JSON.stringify(said)}, and the path names ${JSON.stringify(bareName(name))}; make them one`,
          );
        }
        const within = await functions.scale(bareName(name), replicas);
        const note = `replicas: ${within} instead of ${replicas}, by com.openfaas.scale.min and max`;
        answerNotes(exchange, within === replicas ? [] : [note]);
      },
    },
    {
      method: 'GET',
      path: /^\/system\/namespaces$/,
      handle: (exchange) => sendJson(exchange, 200, [functionNamespace]),
    },
    {
      method: 'GET',
      path: /^\/system\/info$/,
      handle: (exchange) =>
        sendJson(exchange, 200, {
          provider: {
            provider: 'axle',
            orchestration: 'axle',
            version: release,
          },
          version: release,
          arch: process.arch === 'x64' ? 'x86_64' : process.arch,
        }),
    },
    { method: 'GET', path: /^\/system\/logs$/, handle: (exchange) => logs.handle(exchange) },
    ...secretRoutes(options),
  ];
}

/** @throws AxleError INVALID_ARGUMENT, RESOURCE_EXHAUSTED */
export async function jsonOf({ request }: Exchange, bytesMax = jsonBytesMax): Promise<string> {
  return (await readBody(request, bytesMax)).toString();
}

/** What of a deployment does nothing is told to whoever deploys it. */
function answerNotes(exchange: Exchange, notes: readonly string[]): void {
  sendText(exchange, accepted, notes.map((note) => `${note}\n`).join(''));
}

function replicasOf(fields: Fields): number {
  const { replicas } = fields;
  if (
    Number.isInteger(replicas) &&
    (replicas as number) >= 0 &&
    (replicas as number) <= instancesMax
  ) {
    return replicas as number;
  }
  throw new AxleError(
    'INVALID_ARGUMENT',
    `replicas takes a whole number from 0 to ${instancesMax}`,
  );
}

function bareName(name: string): string {
  return name.replace(/\.openfaas-fn$/, '');
}

function nameOf(value: unknown, field: string): string {
  const name = bareName(textOf(value, field, nameMax) ?? '');
  if (isFunctionName(name)) return name;
  throw new AxleError('INVALID_ARGUMENT', `${field} is to be the name of a function`);
}
