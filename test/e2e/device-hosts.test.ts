import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { limitsWith, type PluginSpec } from '@axle/core/internal';
import { DeviceHosts, ModelManager, type DeviceHostsOptions } from '@axle/remoting';
import { connect, cpuPlugin, shippedModels, Tensor, type Client } from 'axle';
import { describe, expect, it, vi } from 'vitest';

import { matMulModel } from '../onnx-model.mjs';
import { writeModel } from './doors/models.js';
import { checked, RestClient } from './doors/rest-door.js';
import { wrappedCpuPlugin } from './plugins.js';
import { bytesOf, folder, serve, serveUnix } from './serve.js';
import { afterTest, serveTenants } from './tenants-server.js';

interface Hosted {
  readonly hosts: DeviceHosts;
  /** Of the hosts. */
  readonly log: string[];
  readonly connect: (tenant?: string) => Promise<Client>;
}

/** A server in this process whose devices are in others, for tenants a and b. */
async function hosted(
  plugins: readonly PluginSpec[],
  options: Partial<DeviceHostsOptions> = {},
): Promise<Hosted> {
  const log: string[] = [];
  const { models = [shippedModels] } = options;
  const hosts = await DeviceHosts.start({
    plugins,
    models,
    storeBytes: 1024 ** 3,
    limits: limitsWith({}),
    shares: { others: { weight: 1 }, named: {} },
    log: (line) => log.push(line),
    ...options,
  });
  afterTest(() => hosts.close());
  const server = await serveTenants(['a', 'b'], hosts.backends, models);
  return { hosts, log, connect: (tenant = 'a') => server.connect(tenant) };
}

/** The CPU plugin, and beside it an op that crashes. */
const crashing = { name: 'fault', ...wrappedCpuPlugin('crash') };
const copy = (client: Client) => client.run('fault.axle/copy', { bytes: bytesOf(100) });
const image = readFileSync(
  join(fileURLToPath(new URL('.', import.meta.url)), '../../axle/models/samples/A.png'),
);

describe('a device host', () => {
  it('has the devices of the machine, under their names', async () => {
    const { connect: client } = await hosted([cpuPlugin]);
    const axle = await client();
    const { devices } = await axle.devices();
    expect(devices.map(({ id }) => id)).toEqual(['remote/host:0', 'remote/cpu-fallback:0']);
    const { results, steps } = await axle.classify(image, { model: 'glyphs' });
    expect(results[0]).toMatchObject({ label: 'A' });
    expect(steps.map(({ device }) => device)).toContain('remote/cpu-fallback:0');
  });

  it('gives the memory of a model back that is unloaded', async () => {
    const side = 3072;
    const weights = 4 * side ** 2;
    const models = join(folder, 'large');
    writeModel(models, 'large', matMulModel(side, 1));
    const place = ['--http', `unix:${join(folder, 'large.sock')}`, '--models', models];
    const server = await serve(...place, '--model-control', 'explicit');
    const rest = new RestClient(server.endpoint);
    afterTest(() => Promise.resolve(rest.close()));
    const { pid } = server.process;
    const [host = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    const resident = () => 4096 * Number(readFileSync(`/proc/${host}/statm`, 'utf8').split(' ')[1]);
    checked(await rest.send('POST', '/v2/repository/models/large/load', '{}'));
    const loaded = resident();
    checked(await rest.send('POST', '/v2/repository/models/large/unload', '{}'));
    await vi.waitUntil(() => resident() < loaded - 0.8 * weights, { timeout: 10_000 });
  });

  it('keeps no second copy of what a tenant sent', async () => {
    const place = mkdtempSync(join(folder, 'store-'));
    const pushed = join(folder, 'pushed');
    writeModel(pushed, 'mine', matMulModel(64, 1));
    const server = await serveUnix('lending.sock', '--store', place);
    const manager = await ModelManager.connect(new URL(server.endpoint), {});
    afterTest(() => manager.close());
    await manager.push(join(pushed, 'mine'), { name: 'mine' });
    const [blob = ''] = readdirSync(join(place, 'blobs'));
    const links = () => statSync(join(place, 'blobs', blob)).nlink;
    // Under its hash, and as a file of the model.
    expect(links()).toBe(2);
    const axle = await connect(server.endpoint);
    afterTest(() => axle.close());
    const x = Tensor.from('FP32', new Float32Array(64), [1, 64]);
    await axle.infer('mine', { x });
    // The same in the host.
    expect(links()).toBe(4);
  });

  it('tells what waits in it, and not what it works on', async () => {
    const models = join(folder, 'slow');
    writeModel(models, 'slow', matMulModel(1024, 8));
    const { hosts, connect: client } = await hosted([cpuPlugin], { models: [models] });
    const axle = await client();
    const x = Tensor.from('FP32', new Float32Array(64 * 1024), [64, 1024]);
    const calls = Array.from({ length: 32 }, () => axle.infer('slow', { x }));
    const waitingNow = async () => {
      const [of] = (await hosts.waitingByModel()).values();
      return of;
    };
    const waiting = await vi.waitUntil(waitingNow, { timeout: 30_000, interval: 5 });
    expect(waiting).toBeLessThan(32);
    await Promise.all(calls);
    expect((await hosts.waitingByModel()).size).toBe(0);
  });

  it("refuses what is past a tenant's own part of the queue, and learns of another", async () => {
    const models = join(folder, 'queued');
    writeModel(models, 'slow', matMulModel(1024, 8));
    const { hosts, connect: client } = await hosted([cpuPlugin], {
      models: [models],
      shares: { others: { weight: 1 }, named: { b: { weight: 1, queueDepth: 3 } } },
    });
    const x = Tensor.from('FP32', new Float32Array(64 * 1024), [64, 1024]);
    const callsOf = async (tenant: string) => {
      const axle = await client(tenant);
      const calls = Array.from({ length: 32 }, () => axle.infer('slow', { x }));
      const refused = (await Promise.allSettled(calls)).flatMap((each) =>
        each.status === 'rejected' ? [each.reason as Error] : [],
      );
      await axle.close();
      return refused;
    };
    const refused = await callsOf('b');
    expect(refused.length).toBeGreaterThan(0);
    for (const reason of refused) {
      expect(reason).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
      expect(reason.message).toMatch(
        /^3 tasks wait for .* from tenant b already, the most of this tenant \(queueDepth\)/,
      );
    }
    expect(await callsOf('a')).toEqual([]);
    hosts.setShares({ others: { weight: 1 }, named: { b: { weight: 1, queueDepth: 1000 } } });
    expect(await callsOf('b')).toEqual([]);
  });

  it('that is killed is started again, and every call is answered once and right', async () => {
    const { hosts, log, connect: client } = await hosted([cpuPlugin]);
    const axle = await client();
    const inputs = Array.from({ length: 200 }, (_, i) => bytesOf(20_000 + i));
    const calls = inputs.map((input) => axle.compress(input, { codec: 'gzip' }));
    await calls[0];
    const [host] = hosts.all;
    process.kill(host?.processId as number, 'SIGKILL');
    const outputs = await Promise.all(calls);
    outputs.forEach(({ data }, i) => {
      expect(gunzipSync(data).equals(inputs[i] as Uint8Array)).toBe(true);
    });
    expect(host?.restartCount).toBe(1);
    expect(log).toContain('the device host of cpu-fallback ended (SIGKILL) and is started again');
    // A tenant that comes while it is away waits too.
    process.kill(host?.processId as number, 'SIGKILL');
    const other = await client('b');
    expect((await other.compress(bytesOf(9))).data.byteLength).toBeGreaterThan(0);
  });

  it('ends at once with a server that does, whatever it is at', async () => {
    const server = await serveUnix('ends.sock');
    const { pid } = server.process;
    const [host = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    const axle = await connect(server.endpoint, { reconnect: { timeoutMs: 0 } });
    afterTest(() => axle.close());
    // Half a minute of work at least.
    const input = randomBytes(64 * 1024 ** 2).map((byte) => byte & 15);
    const calls = Promise.allSettled(
      [1, 2].map(() => axle.compress(input, { codec: 'zstd', level: 19 })),
    );
    const ticks = () => Number(readFileSync(`/proc/${host}/stat`, 'utf8').split(' ')[13]);
    const before = ticks();
    await vi.waitUntil(() => ticks() > before + 30, { timeout: 30_000 });
    const ended = once(server.process, 'exit');
    server.process.kill('SIGINT');
    await vi.waitUntil(() => !existsSync(join(folder, 'ends.sock')), { timeout: 10_000 });
    server.process.kill('SIGINT');
    await ended;
    await vi.waitUntil(() => !existsSync(`/proc/${host}`), { timeout: 5000 });
    for (const { status } of await calls) expect(status).toBe('rejected');
  });

  it('that hangs is ended and started again, and calls run there', async () => {
    const { hosts, log, connect: client } = await hosted([cpuPlugin], { hungMs: 800 });
    const axle = await client();
    const input = bytesOf(20_000);
    await axle.compress(input);
    const [host] = hosts.all;
    const hung = host?.processId as number;
    process.kill(hung, 'SIGSTOP');
    const { data } = await axle.compress(input, { codec: 'gzip' });
    expect(gunzipSync(data).equals(input)).toBe(true);
    expect(log.slice(0, 2)).toEqual([
      'the device host of cpu-fallback gave no sign of life for 0.8 s and is ended',
      'the device host of cpu-fallback ended (SIGKILL) and is started again',
    ]);
    expect(host?.processId).not.toBe(hung);
  });

  it('ends with the call that crashes its plugin, which is given up; all others run', async () => {
    const { hosts, connect: client } = await hosted([cpuPlugin, crashing]);
    const axle = await client();
    const input = bytesOf(5000);
    const [crash, ...others] = await Promise.allSettled([
      copy(axle),
      ...Array.from({ length: 40 }, () =>
        axle.compress(input, { device: 'remote/fault:0', strict: true }),
      ),
      ...Array.from({ length: 40 }, () =>
        axle.compress(input, { device: 'remote/cpu-fallback:0' }),
      ),
    ]);
    expect(crash).toMatchObject({ reason: { code: 'INTERNAL', retryable: false } });
    for (const other of others) expect(other).toMatchObject({ status: 'fulfilled' });
    expect(hosts.all.map(({ restartCount }) => restartCount).sort()).toEqual([0, 3]);
  });

  it('that cannot have its plugin is listed with the reason', async () => {
    const gone = { name: 'gone', path: '/nowhere/gone.so' };
    const { hosts, connect: client } = await hosted([cpuPlugin, gone]);
    expect(hosts.unavailable).toEqual([
      { backend: 'gone', reason: expect.stringContaining('/nowhere/gone.so') as unknown },
    ]);
    expect((await (await client()).devices()).devices).toHaveLength(2);
  });

  it('ends with its server, and nothing of it is left', async () => {
    const foldersOf = () => readdirSync(folder).filter((name) => /^axle-(hosts|store)-/.test(name));
    const before = foldersOf();
    await serveUnix('living.sock');
    const living = foldersOf().filter((name) => !before.includes(name));
    const killed = await serveUnix('killed.sock');
    const left = foldersOf().filter((name) => ![...before, ...living].includes(name));
    expect([living.length, left.length]).toEqual([2, 2]);
    killed.process.kill('SIGKILL');
    await once(killed.process, 'exit');
    const there = (name: string) => existsSync(join(folder, name));
    const gone = (kind: string) => left.every((name) => !name.includes(kind) || !there(name));
    await vi.waitUntil(() => gone('hosts'), { timeout: 10_000 });
    expect(gone('store')).toBe(false);
    // The next one takes away what nobody has any more, and nothing else.
    await serveUnix('next.sock');
    await vi.waitUntil(() => gone('store'), { timeout: 10_000 });
    expect(living.every(there)).toBe(true);
  });
});
