import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';

import type { TaskEvent } from '@axle/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { GrpcClient, messageOf, methodOf } from './grpc-door.js';
import { identityModel, writeModel } from './models.js';
import { bodyOf } from './rest-door.js';
import {
  streamInFlightMax,
  httpPath,
  models,
  identity,
  slow,
  grpcHeaders,
  until,
  type Doors,
  startDoors,
  closeDoors,
  answersAsEver,
} from './bad-days-kit.js';

let doors: Doors;
let server: Doors['server'];
let grpc: Doors['grpc'];
const answers = () => answersAsEver(doors);

beforeAll(async () => {
  doors = await startDoors();
  ({ server, grpc } = doors);
});
afterAll(() => closeDoors(doors));

describe('a server that waits 0.3 s', () => {
  const place = join(folder, 'impatient');
  let impatient: TrustedServer;

  beforeAll(async () => {
    mkdirSync(place);
    impatient = await TrustedServer.start(place, {
      grpc: [`unix:${join(place, 'grpc.sock')}`],
      http: [`unix:${join(place, 'http.sock')}`],
      doorLimits: { requestMs: 300, firstRequestMs: 600 },
    });
  });
  afterAll(() => impatient.close());

  it('waits for a message only so long', async () => {
    const session = connectHttp2('http://axle', {
      createConnection: () => connect(join(place, 'grpc.sock')),
    });
    const stream = session.request(grpcHeaders);
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    expect(headers['grpc-status']).toBe('4');
    expect(headers['grpc-message']).toMatch(/not%20there%20within/);
    session.destroy();
  });

  it('leaves those alone who ask for nothing but health', async () => {
    const health = new GrpcClient(impatient.doorEndpoints[0] ?? '');
    const { path, write, read } = methodOf('grpc.health.v1.Health', 'Watch');
    const watch = health.client.makeServerStreamRequest(path, write, read, {});
    const ended = new Promise<string>((resolve) => {
      watch.on('status', () => {
        resolve('ended');
      });
    });
    watch.on('error', () => undefined);
    await once(watch, 'data');
    const balancer = connect(join(place, 'http.sock'));
    const ask = 'GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n';
    balancer.write(ask);
    await once(balancer, 'data');
    // It came later, says nothing, and is gone before.
    const silent = connect(join(place, 'grpc.sock')).resume();
    await once(silent, 'close');
    balancer.write(ask);
    expect(String((await once(balancer, 'data'))[0])).toMatch(/^HTTP\/1.1 200/);
    expect(await Promise.race([ended, Promise.resolve('watches')])).toBe('watches');
    expect(await health.call('grpc.health.v1.Health', 'Check', {})).toEqual({ status: 'SERVING' });
    balancer.destroy();
    watch.cancel();
    health.close();
  });

  it.each([
    ['a request whose headers do not end', 'GET /v2 HTTP/1.1\r\nHost: x\r\nA: '],
    [
      'a request whose body does not come',
      'POST /v2/models/identity/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{',
    ],
    ['nothing at all', ''],
  ])('waits only so long for %s', async (_, start) => {
    const socket = connect(join(place, 'http.sock'));
    socket.on('data', () => undefined);
    socket.write(start);
    await once(socket, 'close');
  });
});

describe('a call that nobody waits for any more', () => {
  const calls = 16;
  /** How tasks of the slow model ended. */
  let ends: string[] = [];
  const note = (event: unknown) => {
    const { model, code } = event as TaskEvent;
    if (model === 'slow') ends.push(code);
  };
  beforeEach(() => {
    ends = [];
    subscribe('axle.task', note);
  });
  afterEach(() => unsubscribe('axle.task', note));

  /** As the server counts them for their sender. */
  const load = () => {
    const [device] = server.runtime.registry.devices.filter(
      ({ backend }) => backend === 'cpu-fallback',
    );
    return server.runtime.loadOf(device!);
  };

  /** Where the machine is busy, the first are done before the last have come. */
  const allBegan = () => load() + ends.length >= calls;

  /** Those that ran may have gone on to their end; those that waited never began. */
  const expectFreed = async () => {
    await until(() => load() === 0 && ends.length >= calls);
    expect(ends.filter((code) => code === 'OK').length).toBeLessThan(calls / 2);
  };

  it('is taken from the device, through gRPC', async () => {
    const begun = Array.from({ length: calls }, () =>
      grpc.begin('inference.GRPCInferenceService', 'ModelInfer', messageOf(slow, 'raw')),
    );
    await until(allBegan);
    for (const { cancel } of begun) cancel();
    const ends = await Promise.allSettled(begun.map(({ answer }) => answer));
    for (const end of ends) expect(end).toMatchObject({ reason: { code: 'CANCELLED' } });
    await expectFreed();
    await answers();
  });

  it('is taken from the device, through REST', async () => {
    const { body, jsonBytes } = bodyOf(slow, 'binary');
    const head =
      'POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\n' +
      `Inference-Header-Content-Length: ${jsonBytes}\r\nContent-Length: ${body.byteLength}\r\n\r\n`;
    const sockets = Array.from({ length: calls }, () => connect(httpPath));
    for (const socket of sockets) socket.write(Buffer.concat([Buffer.from(head), body]));
    await until(allBegan);
    for (const socket of sockets) socket.destroy();
    await expectFreed();
    await answers();
  });
});

it('a stream has so many requests worked on, and the others wait', async () => {
  const [device] = server.runtime.registry.devices.filter(
    ({ backend }) => backend === 'cpu-fallback',
  );
  let most = 0;
  const looking = setInterval(() => {
    most = Math.max(most, server.runtime.loadOf(device!));
  }, 1);
  const requests = Array.from({ length: 3 * streamInFlightMax }, () => messageOf(slow, 'raw'));
  const replies = await grpc.stream('inference.GRPCInferenceService', 'ModelStreamInfer', requests);
  clearInterval(looking);
  expect(replies.map(({ error_message: error }) => error)).toEqual(requests.map(() => ''));
  expect(most).toBe(streamInFlightMax);
});

describe('a repository', () => {
  it('may lose a model that is in use', async () => {
    writeModel(models, 'leaving', identityModel(1, ['n', 'm']));
    const request = messageOf({ ...identity, model: 'leaving' }, 'raw');
    await grpc.inference('ModelInfer', request);
    const calls = Array.from({ length: 50 }, () => grpc.inference('ModelInfer', request));
    rmSync(join(models, 'leaving'), { recursive: true });
    await Promise.all(calls);
  });

  it('may turn unreadable: models that are open go on, others are refused', async () => {
    await answers();
    renameSync(models, `${models}.away`);
    writeFileSync(models, 'no folder');
    try {
      await answers();
      const other = grpc.inference('ModelInfer', messageOf({ ...identity, model: 'other' }, 'raw'));
      await expect(other).rejects.toThrow(/cannot read the model folder|unknown model/);
      await expect(grpc.inference('RepositoryIndex')).rejects.toThrow(/cannot read/);
    } finally {
      rmSync(models);
      renameSync(`${models}.away`, models);
    }
    const { models: index } = await grpc.inference('RepositoryIndex');
    expect(index).toContainEqual({ name: 'identity', version: '1', state: 'READY', reason: '' });
  });
});
