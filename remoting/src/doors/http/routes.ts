import { AxleError, LruMap } from '@axle/core/internal';

import type { DoorClient } from '../door-clients.js';
import { knownRoutesMax, knownUrlCharactersMax } from '../door-limits.js';
import { overridden, type KserveServer } from '../kserve/kserve-server.js';
import type { ServerSettings } from '../kserve/operator-settings.js';
import { regionMessage } from '../kserve/shared-memory/region-message.js';
import { statisticsMessage } from '../kserve/statistics-message.js';
import type { JsonWork } from './json-work.js';
import type { Reply } from './reply.js';
import { WrongMethod } from './wrong-method.js';

/** A request whose sender is known and whose body is there. */
export interface Exchange {
  /** Not of routes for anyone. */
  readonly client: DoorClient;
  readonly body: Buffer | undefined;
  readonly reply: Reply;
}

/** What a path stands for. */
export interface Route {
  /** For the log: as the method of gRPC that does the same. */
  readonly op: string;
  /** Load balancers ask without a token. */
  readonly forAnyone: boolean;
  answer(exchange: Exchange): Promise<void> | void;
}

/** @throws AxleError NOT_FOUND for what is no path of the door, UNIMPLEMENTED for another method than its own. */
export type FindRoute = (method: string, url: string) => Route;

/** With whom answers it. */
interface KserveExchange extends Exchange {
  readonly kserve: KserveServer;
  readonly json: JsonWork;
}

interface Rule {
  readonly op: string;
  readonly method: 'GET' | 'POST';
  readonly path: RegExp;
  readonly forAnyone?: boolean;
  answer(exchange: KserveExchange, model: string, version: string): Promise<void> | void;
}

const nothing = Buffer.alloc(0);
const noSettings: ServerSettings = new Map();
const traceSettings = /^\/v2(?:\/models\/([^/]+))?\/trace\/setting$/;
const logSettings = /^\/v2\/logging$/;
const ofModel = String.raw`\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?`;

const rules: readonly Rule[] = [
  { op: 'ModelInfer', method: 'POST', path: new RegExp(`^${ofModel}\\/infer$`), answer: infer },
  {
    op: 'ServerLive',
    method: 'GET',
    path: /^\/v2\/health\/live$/,
    forAnyone: true,
    answer: ({ reply }) => {
      reply.ok();
    },
  },
  {
    op: 'ServerReady',
    method: 'GET',
    path: /^\/v2\/health\/ready$/,
    forAnyone: true,
    answer: ({ kserve, reply }) => {
      reply.ok(kserve.isReady ? 200 : 503);
    },
  },
  {
    op: 'ServerMetadata',
    method: 'GET',
    path: /^\/v2\/?$/,
    answer: ({ kserve, reply }) => {
      reply.json(kserve.metadata());
    },
  },
  {
    op: 'ModelStatistics',
    method: 'GET',
    path: /^\/v2\/models\/stats$/,
    answer: (exchange) => statistics(exchange, '', ''),
  },
  {
    op: 'ModelMetadata',
    method: 'GET',
    path: new RegExp(`^${ofModel}$`),
    answer: async ({ kserve, client, reply }, model, version) => {
      reply.json(await kserve.modelMetadata(client, model, version));
    },
  },
  {
    op: 'ModelReady',
    method: 'GET',
    path: new RegExp(`^${ofModel}\\/ready$`),
    answer: async ({ kserve, client, reply }, model, version) => {
      reply.ok((await kserve.isModelReady(client, model, version)) ? 200 : 400);
    },
  },
  {
    op: 'ModelConfig',
    method: 'GET',
    path: new RegExp(`^${ofModel}\\/config$`),
    answer: async ({ kserve, client, reply }, model, version) => {
      reply.json(await kserve.modelConfig(client, model, version));
    },
  },
  {
    op: 'ModelStatistics',
    method: 'GET',
    path: new RegExp(`^${ofModel}\\/stats$`),
    answer: statistics,
  },
  {
    op: 'RepositoryIndex',
    method: 'POST',
    path: /^\/v2\/repository\/index$/,
    answer: async ({ kserve, json, client, body, reply }) => {
      const { readyOnly } = await json.readOptions(client, body);
      // An array is what the protocol has here.
      reply.json(await kserve.index(client, readyOnly));
    },
  },
  {
    op: 'RepositoryModelLoad',
    method: 'POST',
    path: /^\/v2\/repository\/models\/([^/]+)\/load$/,
    answer: async ({ kserve, json, client, body, reply }, model) => {
      const { parameterName } = await json.readOptions(client, body);
      if (parameterName !== undefined) throw overridden(parameterName);
      await kserve.load(client, model);
      reply.ok();
    },
  },
  {
    op: 'RepositoryModelUnload',
    method: 'POST',
    path: /^\/v2\/repository\/models\/([^/]+)\/unload$/,
    answer: ({ kserve, client, reply }, model) => {
      kserve.unload(client, model);
      reply.ok();
    },
  },
  {
    op: 'SystemSharedMemoryStatus',
    method: 'GET',
    path: /^\/v2\/systemsharedmemory(?:\/region\/([^/]+))?\/status$/,
    answer: ({ kserve, client, reply }, region) => {
      reply.json(kserve.regionsOf(client).status(client.tenant.name, region).map(regionMessage));
    },
  },
  {
    op: 'SystemSharedMemoryRegister',
    method: 'POST',
    path: /^\/v2\/systemsharedmemory\/region\/([^/]+)\/register$/,
    answer: async ({ kserve, json, client, body, reply }, region) => {
      const regions = kserve.regionsOf(client);
      const { key, offset, byteSize } = await json.readOptions(client, body);
      if (key === undefined) {
        throw new AxleError('INVALID_ARGUMENT', 'the key of a region is missing or no text');
      }
      await regions.register(client.tenant.name, { name: region, key, offset, byteSize });
      reply.ok();
    },
  },
  {
    op: 'SystemSharedMemoryUnregister',
    method: 'POST',
    path: /^\/v2\/systemsharedmemory(?:\/region\/([^/]+))?\/unregister$/,
    answer: ({ kserve, client, reply }, region) => {
      kserve.regionsOf(client).unregister(client.tenant.name, region);
      reply.ok();
    },
  },
  ...notServed(
    /^\/v2\/cudasharedmemory\/.+$/,
    'CudaSharedMemory',
    'this server shares no CUDA memory; send the tensors',
  ),
  {
    op: 'TraceSetting',
    method: 'GET',
    path: traceSettings,
    answer: async ({ kserve, client, reply }, model) => {
      reply.json(Object.fromEntries(await kserve.traceSettings(client, model, noSettings)));
    },
  },
  {
    op: 'TraceSetting',
    method: 'POST',
    path: traceSettings,
    answer: async ({ kserve, json, client, body, reply }, model) => {
      const changes = await json.readSettings(client, body);
      reply.json(Object.fromEntries(await kserve.traceSettings(client, model, changes)));
    },
  },
  {
    op: 'LogSettings',
    method: 'GET',
    path: logSettings,
    answer: ({ kserve, client, reply }) => {
      reply.json(Object.fromEntries(kserve.logSettings(client, noSettings)));
    },
  },
  {
    op: 'LogSettings',
    method: 'POST',
    path: logSettings,
    answer: async ({ kserve, json, client, body, reply }) => {
      const changes = await json.readSettings(client, body);
      reply.json(Object.fromEntries(kserve.logSettings(client, changes)));
    },
  },
];

/** What Triton has there and this server does not. */
function notServed(path: RegExp, op: string, message: string): Rule[] {
  const answer = () => {
    throw new AxleError('UNIMPLEMENTED', message);
  };
  return [
    { op, method: 'GET', path, answer },
    { op, method: 'POST', path, answer },
  ];
}

/** The REST form of the Open Inference Protocol. */
export function kserveRoutes(kserve: KserveServer, json: JsonWork): FindRoute {
  // Clients ask for the same again and again.
  const known = new LruMap<string, Route>(knownRoutesMax);
  return (method, url) => {
    const isShort = url.length <= knownUrlCharactersMax;
    const key = `${method} ${url}`;
    const before = isShort ? known.get(key) : undefined;
    if (before !== undefined) return before;
    const found = routeOf(kserve, json, method, url);
    if (isShort) known.set(key, found);
    return found;
  };
}

/** @throws as `FindRoute` */
function routeOf(kserve: KserveServer, json: JsonWork, method: string, url: string): Route {
  const [path = ''] = url.split('?');
  // Node leaves the body out.
  const asked = method === 'HEAD' ? 'GET' : method;
  const rule = rules.find((each) => each.method === asked && each.path.test(path));
  if (rule === undefined) throw noRoute(method, path);
  const [, model, version] = rule.path.exec(path) ?? [];
  return {
    op: rule.op,
    forAnyone: rule.forAnyone ?? false,
    answer: ({ client, body, reply }) =>
      rule.answer({ client, body, reply, kserve, json }, decoded(model), decoded(version)),
  };
}

async function infer(
  { kserve, json, client, body = nothing, reply }: KserveExchange,
  model: string,
  version: string,
) {
  const header = reply.header('inference-header-content-length');
  const read = json.readInfer(client, body, header, { model, version });
  // What is small is there at once.
  const { request, answersBinary } = read instanceof Promise ? await read : read;
  const call = kserve.infer(client, request, undefined);
  reply.onCancelled((reason) => {
    call.cancel(reason);
  });
  const writing = json.writeAnswer(client, await call.answer, answersBinary);
  const { headers, pieces } = writing instanceof Promise ? await writing : writing;
  reply.send(200, headers, pieces);
}

async function statistics(
  { kserve, client, reply }: KserveExchange,
  model: string,
  version: string,
) {
  const counted = await kserve.modelStatistics(client, model, version);
  reply.json({ model_stats: counted.map(statisticsMessage) });
}

function decoded(part: string | undefined): string {
  try {
    return decodeURIComponent(part ?? '');
  } catch {
    throw new AxleError('INVALID_ARGUMENT', 'the path holds a % that is no escape');
  }
}

function noRoute(method: string, path: string): AxleError {
  const fitting = rules.filter((rule) => rule.path.test(path));
  if (fitting.length === 0) {
    const shown = path.slice(0, 128);
    return new AxleError('NOT_FOUND', `there is no ${shown} here; paths begin with /v2`);
  }
  return new WrongMethod(
    method,
    fitting.flatMap(({ method: own }) => (own === 'GET' ? ['GET', 'HEAD'] : [own])),
  );
}
