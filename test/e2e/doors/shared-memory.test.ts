import {
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { matMulModel } from '../../onnx-model.mjs';
import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { GrpcClient, type Fields } from './grpc-door.js';
import { identityModel, writeModel } from './models.js';
import { checked, RestClient } from './rest-door.js';

const place = join(folder, 'shared');
let server: TrustedServer;
let off: TrustedServer;

/** What shared memory is asked for, in the two protocols. */
interface Asking {
  register(name: string, key: string, byteSize: number, offset?: number): Promise<unknown>;
  unregister(name?: string): Promise<unknown>;
  status(name?: string): Promise<readonly object[]>;
  /** FP32 of one row, there and back; parameters as the protocol has them. */
  infer(model: string, columns: number, input: Lies, output: Lies): Promise<Output>;
  close(): void;
}
type Lies = Readonly<Record<string, string | number>> | undefined;
interface Output {
  readonly parameters: Readonly<Record<string, unknown>>;
  /** In the answer itself. */
  readonly raw: Buffer | undefined;
}

class ByGrpc implements Asking {
  private readonly grpc: GrpcClient;

  constructor(endpoint: string) {
    this.grpc = new GrpcClient(endpoint);
  }

  register(name: string, key: string, byteSize: number, offset = 0) {
    const message = { name, key, offset, byte_size: byteSize };
    return this.grpc.inference('SystemSharedMemoryRegister', message);
  }

  unregister(name = '') {
    return this.grpc.inference('SystemSharedMemoryUnregister', { name });
  }

  async status(name = '') {
    const { regions } = await this.grpc.inference('SystemSharedMemoryStatus', { name });
    return Object.values(regions as Record<string, object>);
  }

  async infer(model: string, columns: number, input: Lies, output: Lies) {
    const parametersOf = (lies: Lies) =>
      Object.fromEntries(
        Object.entries(lies ?? {}).map(([name, value]) => [
          name,
          typeof value === 'string' ? { string_param: value } : { int64_param: value },
        ]),
      );
    const tensor = { name: 'x', datatype: 'FP32', shape: [1, columns] };
    const reply = await this.grpc.inference('ModelInfer', {
      model_name: model,
      inputs: [{ ...tensor, parameters: parametersOf(input) }],
      outputs: [{ name: 'y', parameters: parametersOf(output) }],
      raw_input_contents: input === undefined ? [Buffer.alloc(4 * columns)] : [],
    });
    const [told] = reply['outputs'] as { parameters: Record<string, Fields> }[];
    const [raw] = reply['raw_output_contents'] as Buffer[];
    const values = Object.entries(told?.parameters ?? {}).map(([name, value]) => {
      return [name, value['string_param'] || value['int64_param']];
    });
    return {
      parameters: Object.fromEntries(values) as Output['parameters'],
      raw: raw?.byteLength === 0 ? undefined : raw,
    };
  }

  close() {
    this.grpc.close();
  }
}

class ByRest implements Asking {
  private readonly rest: RestClient;

  constructor(endpoint: string) {
    this.rest = new RestClient(endpoint);
  }

  async register(name: string, key: string, byteSize: number, offset?: number) {
    const body = JSON.stringify({ key, offset, byte_size: byteSize });
    const path = `/v2/systemsharedmemory/region/${encodeURIComponent(name)}/register`;
    return checked(await this.rest.send('POST', path, body));
  }

  async unregister(name?: string) {
    return checked(await this.rest.send('POST', `${this.pathOf(name)}/unregister`));
  }

  async status(name?: string) {
    return (await this.rest.json('GET', `${this.pathOf(name)}/status`)) as object[];
  }

  async infer(model: string, columns: number, input: Lies, output: Lies) {
    const data = input === undefined ? { data: new Array<number>(columns).fill(0) } : {};
    const body = JSON.stringify({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, columns], parameters: input, ...data }],
      outputs: [{ name: 'y', parameters: output }],
    });
    const reply = checked(await this.rest.send('POST', `/v2/models/${model}/infer`, body));
    const { outputs } = JSON.parse(String(reply.body)) as {
      outputs: { parameters?: Record<string, unknown>; data?: number[] }[];
    };
    const [told] = outputs;
    return {
      parameters: told?.parameters ?? {},
      raw: told?.data === undefined ? undefined : Buffer.from(Float32Array.from(told.data).buffer),
    };
  }

  close() {
    this.rest.close();
  }

  private pathOf(name: string | undefined) {
    const region = name === undefined ? '' : `/region/${encodeURIComponent(name)}`;
    return `/v2/systemsharedmemory${region}`;
  }
}

type Who = 'alice' | 'bob' | 'alice by TCP' | 'alice where it is off';
const clients = new Map<string, Asking>();
const asking = (way: string, who: Who = 'alice') => clients.get(`${way} ${who}`)!;

beforeAll(async () => {
  const models = join(place, 'models');
  mkdirSync(models, { recursive: true });
  writeModel(models, 'identity', identityModel(1, ['n', 'm']), '1', 'max_batch_size: 0');
  writeModel(models, 'slow', matMulModel(1024, 16));
  const at = (name: string, tenant: string) => `unix:${join(place, name)},tenant=${tenant}`;
  server = await TrustedServer.start(place, {
    grpc: [at('ga', 'alice'), at('gb', 'bob'), 'tcp:127.0.0.1:0,tenant=alice'],
    http: [at('ha', 'alice'), at('hb', 'bob'), 'tcp:127.0.0.1:0,tenant=alice'],
    insecure: true,
    systemSharedMemory: true,
    doorLimits: { sharedRegionsMax: 3, sharedRegionBytesMax: 65_536 },
    models: [models],
  });
  const folderOfOff = join(place, 'off');
  mkdirSync(folderOfOff);
  off = await TrustedServer.start(folderOfOff, {
    grpc: [`unix:${join(folderOfOff, 'g')},tenant=alice`],
    http: [`unix:${join(folderOfOff, 'h')},tenant=alice`],
    models: [models],
  });
  const [ga, gb, gt, ha, hb, ht] = server.doorEndpoints as string[];
  const [go = '', ho = ''] = off.doorEndpoints;
  const grpcs = { alice: ga, bob: gb, 'alice by TCP': gt, 'alice where it is off': go };
  const rests = { alice: ha, bob: hb, 'alice by TCP': ht, 'alice where it is off': ho };
  for (const [who, endpoint = ''] of Object.entries(grpcs)) {
    clients.set(`gRPC ${who}`, new ByGrpc(endpoint));
  }
  for (const [who, endpoint = ''] of Object.entries(rests)) {
    clients.set(`REST ${who}`, new ByRest(endpoint));
  }
});
afterAll(async () => {
  for (const client of clients.values()) client.close();
  await server.close();
  await off.close();
});

/** Memory of this test run: others may run beside it. */
const unique = `${process.pid}.${Date.now()}`;
const made: string[] = [];
function keyOf(name: string, tenant = 'alice'): string {
  const key = `/axle:${tenant}:${unique}.${name}`;
  made.push(pathOf(key));
  return key;
}
const pathOf = (key: string) => `/dev/shm${key}`;
function memory(name: string, bytes: Uint8Array, tenant?: string, mode = 0o600): string {
  const key = keyOf(name, tenant);
  const file = openSync(pathOf(key), 'w', mode);
  writeFileSync(file, bytes);
  closeSync(file);
  return key;
}
const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
const lies = (region: string, bytes: number, offset?: number) => ({
  ...{ shared_memory_region: region, shared_memory_byte_size: bytes },
  ...(offset !== undefined && { shared_memory_offset: offset }),
});
afterEach(async () => {
  await Promise.all([asking('gRPC').unregister(), asking('gRPC', 'bob').unregister()]);
  for (const path of made.splice(0)) rmSync(path, { force: true, recursive: true });
});

describe.each(['gRPC', 'REST'])('shared memory of the system, through %s', (way) => {
  it('carries inputs and outputs', async () => {
    const alice = asking(way);
    const key = memory('both', Buffer.concat([floats(9, 1.5, -2), Buffer.alloc(12)]));
    await alice.register('both', key, 20, 4);
    expect(await alice.status()).toEqual([{ name: 'both', key, offset: 4, byte_size: 20 }]);
    expect(await alice.status('both')).toHaveLength(1);
    const told = await alice.infer('identity', 2, lies('both', 8), lies('both', 12, 8));
    expect(told.raw).toBeUndefined();
    expect(told.parameters).toEqual(lies('both', 8, 8));
    expect(readFileSync(pathOf(key))).toEqual(
      Buffer.concat([floats(9, 1.5, -2, 1.5, -2), Buffer.alloc(4)]),
    );
    const there = await alice.infer('identity', 2, lies('both', 8), undefined);
    expect(there.raw).toEqual(floats(1.5, -2));
    await alice.infer('identity', 1, undefined, lies('both', 4));
    expect(readFileSync(pathOf(key)).readFloatLE(4)).toBe(0);
    await alice.unregister('both');
    expect(await alice.status()).toEqual([]);
    await expect(alice.status('both')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await alice.unregister('both');
  });

  it('is for each tenant its own', async () => {
    const [alice, bob] = [asking(way), asking(way, 'bob')];
    const key = memory('own', floats(1, 2));
    await alice.register('own', key, 8);
    expect(await bob.status()).toEqual([]);
    const using = bob.infer('identity', 2, lies('own', 8), undefined);
    await expect(using).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await bob.unregister();
    expect(await alice.status()).toHaveLength(1);
    await expect(bob.register('own', key, 8)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await bob.register('own', memory('own', floats(3, 4), 'bob'), 8);
    expect((await bob.infer('identity', 2, lies('own', 8), undefined)).raw).toEqual(floats(3, 4));
  });

  it('that was cut short gives an error, and no crash', async () => {
    const alice = asking(way);
    const key = memory('short', Buffer.alloc(8192));
    await alice.register('short', key, 8192);
    truncateSync(pathOf(key), 4100);
    const reading = alice.infer('identity', 2048, lies('short', 8192), undefined);
    await expect(reading).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    await expect(reading).rejects.toThrow(/has 4100 bytes, and 8192 were registered/);
    const writing = alice.infer('identity', 2, undefined, lies('short', 8, 4096));
    await expect(writing).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    expect(readFileSync(pathOf(key))).toHaveLength(4100);
    // What is left of it is good.
    await alice.infer('identity', 1024, lies('short', 4096), undefined);
  });

  it('is refused where it is not what it should be', async () => {
    const alice = asking(way);
    const good = memory('good', floats(1, 2));
    const link = keyOf('link');
    symlinkSync(pathOf(good), pathOf(link));
    const second = keyOf('second');
    const first = memory('first', floats(1));
    linkSync(pathOf(first), pathOf(second));
    const directory = keyOf('directory');
    const refusals = [
      [good, 9, 'OUT_OF_RANGE'],
      [good, 0, 'INVALID_ARGUMENT'],
      [good, 65_537, 'RESOURCE_EXHAUSTED'],
      [keyOf('nothing'), 8, 'NOT_FOUND'],
      [link, 8, 'INVALID_ARGUMENT'],
      [second, 4, 'PERMISSION_DENIED'],
      ['/axle:alice:../etc/passwd', 4, 'PERMISSION_DENIED'],
      ['/axle:alicex:a', 4, 'PERMISSION_DENIED'],
      ['/input', 4, 'PERMISSION_DENIED'],
      [good, 4, undefined],
      [good, 4, 'ALREADY_EXISTS'],
    ] as const;
    mkdirSync(pathOf(directory));
    for (const [key, bytes, code] of refusals) {
      const registering = alice.register('r', key, bytes);
      if (code === undefined) await registering;
      else await expect(registering).rejects.toMatchObject({ code });
    }
    await expect(alice.register('d', directory, 4)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('that anyone may write to is refused', async () => {
    const key = keyOf('everyones');
    const before = process.umask(0);
    memory('everyones', floats(1), 'alice', 0o666);
    process.umask(before);
    const registering = asking(way).register('e', key, 4);
    await expect(registering).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it('is bounded for each tenant', async () => {
    const alice = asking(way);
    const key = memory('many', floats(1));
    for (const name of ['1', '2', '3']) await alice.register(name, key, 4);
    const fourth = alice.register('4', key, 4);
    await expect(fourth).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await asking(way, 'bob').register('1', memory('many', floats(1), 'bob'), 4);
  });

  it('is refused in part, or past its region', async () => {
    const alice = asking(way);
    await alice.register('r', memory('part', floats(1, 2)), 8);
    const infer = (input: Lies, output?: Lies) => alice.infer('identity', 2, input, output);
    for (const [input, output, code] of [
      [{ shared_memory_region: 'r' }, undefined, 'INVALID_ARGUMENT'],
      [lies('r', 8, 1), undefined, 'OUT_OF_RANGE'],
      [lies('r', 4), undefined, 'INVALID_ARGUMENT'],
      [lies('r', 8), lies('r', 4), 'OUT_OF_RANGE'],
      [lies('r', 8), lies('r', 8, 2 ** 52), 'OUT_OF_RANGE'],
      [lies('none', 8), undefined, 'NOT_FOUND'],
    ] as const) {
      await expect(infer(input, output)).rejects.toMatchObject({ code });
    }
  });

  it('that is unregistered while a call uses it is used to the end', async () => {
    const alice = asking(way);
    const key = memory('used', Buffer.alloc(4096, 255));
    await alice.register('used', key, 4096);
    const { devices } = server.runtime.registry;
    const device = devices.find(({ backend }) => backend === 'cpu-fallback');
    let isOver: boolean;
    let answer: Promise<Output>;
    // Until one is seen on the device: a machine that has much to do may miss it.
    do {
      isOver = false;
      answer = alice.infer('slow', 1024, undefined, lies('used', 4096));
      const end = () => {
        isOver = true;
      };
      answer.then(end, end);
      while (!isOver && server.runtime.loadOf(device!) === 0)
        await new Promise((resolve) => setImmediate(resolve));
    } while (isOver);
    await alice.unregister('used');
    rmSync(pathOf(key));
    expect((await answer).parameters).toEqual(
      expect.objectContaining({ shared_memory_region: 'used' }),
    );
    expect(existsSync(pathOf(key))).toBe(false);
  });

  it.each(['alice by TCP', 'alice where it is off'] as const)('is not for %s', async (who) => {
    const client = asking(way, who);
    const key = memory('far', floats(1, 2));
    for (const refused of [
      client.register('far', key, 8),
      client.status(),
      client.unregister(),
      client.infer('identity', 2, lies('far', 8), undefined),
      client.infer('identity', 2, undefined, lies('far', 8)),
    ]) {
      await expect(refused).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
      await expect(refused).rejects.toThrow(/unix socket|--system-shared-memory/);
    }
  });
});

it('memory that is cut short again and again never ends the server', async () => {
  const alice = asking('gRPC');
  const key = memory('flicker', Buffer.alloc(65_536));
  await alice.register('flicker', key, 65_536);
  const file = openSync(pathOf(key), 'r+');
  let isOver = false;
  const flicker = () => {
    if (isOver) return;
    ftruncateSync(file, 100);
    ftruncateSync(file, 65_536);
    setImmediate(flicker);
  };
  flicker();
  const calls = Array.from({ length: 100 }, () =>
    alice.infer('identity', 16_384, lies('flicker', 65_536), lies('flicker', 65_536)).then(
      () => 'OK',
      ({ code }: { code: string }) => code,
    ),
  );
  const ends = new Set(await Promise.all(calls));
  isOver = true;
  closeSync(file);
  expect([...ends].every((end) => end === 'OK' || end === 'OUT_OF_RANGE')).toBe(true);
});
