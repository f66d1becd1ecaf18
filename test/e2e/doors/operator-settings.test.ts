import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { GrpcClient, type Fields } from './grpc-door.js';
import { identityModel, writeModel } from './models.js';
import type { Refusal } from './request.js';
import { checked, RestClient } from './rest-door.js';

type Setting = boolean | number | string;
type Settings = Readonly<Record<string, Setting>>;

/** One way to ask for settings, and to change them. */
interface Way {
  log(changes?: Settings): Promise<Settings>;
  trace(changes?: Readonly<Record<string, readonly string[]>>, model?: string): Promise<unknown>;
}

let server: TrustedServer;
let clients: { readonly close: () => void }[];
let rest: RestClient;
const ways: Record<string, Way> = {};
const others: Record<string, Way> = {};

beforeAll(async () => {
  const models = join(folder, 'models');
  mkdirSync(models);
  writeModel(models, 'identity', identityModel(1, ['n', 'm']));
  const at = (name: string, tenant: string) => `unix:${join(folder, name)},tenant=${tenant}`;
  server = await TrustedServer.start(folder, {
    grpc: [at('grpc', 'ops'), at('other-grpc', 'alice')],
    http: [at('http', 'ops'), at('other-http', 'alice')],
    models: [models],
    operators: ['ops'],
  });
  const [grpcOps = '', grpcAlice = '', httpOps = '', httpAlice = ''] = server.doorEndpoints;
  const grpcs = [grpcOps, grpcAlice].map((endpoint) => new GrpcClient(endpoint));
  const rests = [httpOps, httpAlice].map((endpoint) => new RestClient(endpoint));
  clients = [...grpcs, ...rests];
  rest = rests[0]!;
  [ways, others].forEach((of, index) => {
    of['gRPC'] = overGrpc(grpcs[index]!);
    of['REST'] = overRest(rests[index]!);
  });
});
afterAll(async () => {
  for (const client of clients) client.close();
  await server.close();
});

function overGrpc(client: GrpcClient): Way {
  return {
    log: async (changes = {}) => {
      const settings = Object.fromEntries(
        Object.entries(changes).map(([name, value]) => [name, parameterOf(value)]),
      );
      const reply = await client.inference('LogSettings', { settings });
      const told = Object.entries(reply['settings'] as Record<string, Fields>);
      return Object.fromEntries(
        told.map(([name, each]) => {
          const [value] = ['bool_param', 'uint32_param', 'string_param'].filter(
            (key) => key in each,
          );
          return [name, each[value ?? ''] as Setting];
        }),
      );
    },
    trace: async (changes = {}, model = '') => {
      const settings = Object.fromEntries(
        Object.entries(changes).map(([name, value]) => [name, { value }]),
      );
      const reply = await client.inference('TraceSetting', { settings, model_name: model });
      const told = Object.entries(reply['settings'] as Record<string, { value: string[] }>);
      return Object.fromEntries(told.map(([name, { value }]) => [name, value]));
    },
  };
}

function parameterOf(value: Setting): object {
  if (typeof value === 'boolean') return { bool_param: value };
  return typeof value === 'number' ? { uint32_param: value } : { string_param: value };
}

function overRest(client: RestClient): Way {
  const ask = async (path: string, changes: object | undefined) => {
    const [method, body] = changes === undefined ? ['GET', ''] : ['POST', JSON.stringify(changes)];
    return JSON.parse(String(checked(await client.send(method, path, body)).body)) as unknown;
  };
  return {
    log: (changes) => ask('/v2/logging', changes) as Promise<Settings>,
    trace: (changes, model) =>
      ask(`/v2${model === undefined ? '' : `/models/${model}`}/trace/setting`, changes),
  };
}

const defaults: Settings = {
  log_info: true,
  log_warning: true,
  log_error: true,
  log_verbose_level: 0,
};
/** Something that the server writes a line about; level info with a verbose level, and else none. */
const ask = () => rest.send('GET', '/v2');
const fail = () => rest.send('GET', '/v2/models/nothing');

describe.each(['gRPC', 'REST'])('settings by %s', (name) => {
  const way = () => ways[name] as Way;

  beforeEach(async () => {
    await way().log(defaults);
    server.log.length = 0;
  });

  it('of the log are told', async () => {
    expect(await way().log()).toEqual(defaults);
  });

  it('have a line for every request with a verbose level of 1', async () => {
    await ask();
    expect(server.log.join('\n')).not.toMatch(/ServerMetadata/);
    expect(await way().log({ log_verbose_level: 1 })).toEqual({
      ...defaults,
      log_verbose_level: 1,
    });
    await ask();
    expect(server.log.join('\n')).toMatch(/ServerMetadata - OK/);
  });

  it('silence a level, and say who did', async () => {
    await way().log({ log_warning: false });
    expect(server.log.join('\n')).toMatch(/tenant ops set log_warning to false/);
    await fail();
    expect(server.log.join('\n')).not.toMatch(/ModelMetadata/);
    await way().log({ log_warning: true });
    await fail();
    expect(server.log.join('\n')).toMatch(/ModelMetadata failed with NOT_FOUND/);
  });

  it.each<[Settings, string, RegExp]>([
    [{ log_file: 'x' }, 'UNIMPLEMENTED', /'log_file'.*stderr/],
    [{ log_format: 'ISO8601' }, 'UNIMPLEMENTED', /'log_format'.*--log-format/],
    [{ log_colour: true }, 'INVALID_ARGUMENT', /no log setting 'log_colour'.*log_info/],
    [{ log_info: 1 }, 'INVALID_ARGUMENT', /'log_info' is 1; give true or false/],
    [{ log_verbose_level: 2 }, 'INVALID_ARGUMENT', /'log_verbose_level' is 2; give 0 or 1/],
    [{ log_verbose_level: 'x' }, 'INVALID_ARGUMENT', /'log_verbose_level' is text; give 0 or 1/],
  ])('of the log that it does not have are refused by name: %j', async (changes, code, message) => {
    const refusal = await way()
      .log({ log_error: false, ...changes })
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code });
    expect((refusal as Refusal).message).toMatch(message);
    // All or nothing.
    expect(await way().log()).toEqual(defaults);
  });

  it('of tracing are told', async () => {
    const told = { trace_mode: ['opentelemetry'], trace_level: ['OFF'] };
    expect(await way().trace()).toEqual(told);
    expect(await way().trace(undefined, 'identity')).toEqual(told);
    await expect(way().trace(undefined, 'nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each([
    [{ trace_rate: ['10'] }, 'UNIMPLEMENTED', /'trace_rate'.*OTEL_TRACES_SAMPLER/],
    [{ trace_level: ['TIMESTAMPS'] }, 'UNIMPLEMENTED', /'trace_level'.*OpenTelemetry SDK/],
    [{ trace_color: ['x'] }, 'INVALID_ARGUMENT', /no trace setting 'trace_color'/],
  ])('of tracing are not changed: %j', async (changes, code, message) => {
    const refusal = await way()
      .trace(changes as Record<string, string[]>)
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code });
    expect((refusal as Refusal).message).toMatch(message);
  });

  it("are the operator's alone", async () => {
    const other = others[name] as Way;
    for (const asked of [other.log(), other.log({ log_info: false }), other.trace()]) {
      const refusal = await asked.catch((error: unknown) => error);
      expect(refusal).toMatchObject({ code: 'PERMISSION_DENIED' });
      expect((refusal as Refusal).message).toMatch(/tenant alice .* operators/);
    }
    expect(await way().log()).toEqual(defaults);
  });
});
