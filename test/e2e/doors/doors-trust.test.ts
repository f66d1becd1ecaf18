import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';

import { shippedModels, type AxleError } from 'axle';
import { credentials } from '@grpc/grpc-js';
import { connectKserve, loadServeSettings, type ServeOptions } from '@axle/remoting';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { folder } from '../serve.js';
import { makeCertificates, TrustedServer } from '../trusted-server.js';
import { GrpcClient } from './grpc-door.js';
import { RestClient } from './rest-door.js';

const pki = join(folder, 'pki');
const pem = (name: string) => readFileSync(join(pki, name));
let server: TrustedServer;
let alice: string;
const opened: { close(): void }[] = [];

beforeAll(async () => {
  makeCertificates(pki, '--host', 'localhost', '--client', 'bob');
  const place = join(folder, 'server');
  mkdirSync(place);
  server = await TrustedServer.start(place, {
    grpc: ['tls:localhost:0'],
    http: ['tls:localhost:0'],
    tls: {
      certificate: join(pki, 'server.crt'),
      key: join(pki, 'server.key'),
      clientCa: join(pki, 'ca.crt'),
    },
    tokens: 'tokens.jsonl',
    models: [shippedModels],
  });
  alice = await server.addToken('alice');
});
afterAll(async () => {
  for (const each of opened) each.close();
  await server.close();
});

function grpcOf(token?: string, client?: 'bob'): GrpcClient {
  const [key, chain] =
    client === undefined
      ? [null, null]
      : [pem(`client-${client}.key`), pem(`client-${client}.crt`)];
  const [, port = ''] = /:(\d+)$/.exec(server.doorEndpoints[0] ?? '') ?? [];
  const grpc = new GrpcClient(
    `grpcs://localhost:${port}`,
    token,
    credentials.createSsl(pem('ca.crt'), key, chain),
  );
  opened.push(grpc);
  return grpc;
}

/** @returns the status */
function rest(path: string, headers: Record<string, string> = {}, client?: 'bob'): Promise<number> {
  const [, port = ''] = /:(\d+)$/.exec(server.doorEndpoints[1] ?? '') ?? [];
  const own =
    client === undefined
      ? {}
      : { key: pem(`client-${client}.key`), cert: pem(`client-${client}.crt`) };
  return new Promise((resolve, reject) => {
    const options = {
      host: 'localhost',
      port,
      path,
      headers,
      ca: pem('ca.crt'),
      agent: false as const,
    };
    const sent = httpsRequest({ ...options, ...own }, (response) => {
      response.resume().once('end', () => {
        resolve(response.statusCode ?? 0);
      });
    });
    sent.on('error', reject).end();
  });
}

describe('over TLS', () => {
  it('lets tokens and certificates of tenants in, and nobody else', async () => {
    expect(server.doorEndpoints).toEqual([
      expect.stringMatching(/^grpcs:/),
      expect.stringMatching(/^https:/),
    ]);
    await grpcOf(alice).inference('ServerMetadata');
    await grpcOf(undefined, 'bob').inference('ServerMetadata');
    for (const nobody of [
      grpcOf(),
      grpcOf('axle_0123456789abcdef_nonsense'),
      grpcOf(alice, 'bob'),
    ]) {
      await expect(nobody.inference('ServerMetadata')).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
      });
      nobody.close();
    }
    expect(await rest('/v2', { authorization: `Bearer ${alice}` })).toBe(200);
    expect(await rest('/v2', {}, 'bob')).toBe(200);
    expect(await rest('/v2')).toBe(401);
    expect(await rest('/v2', { authorization: 'Basic eDp5' })).toBe(401);
    expect(await rest('/v2', { authorization: `Bearer ${alice}`, 'axle-tenant': 'bob' })).toBe(403);
  });

  it('is entered by the client that measures doors, as whom the environment says', async () => {
    const statusOf = async (url: string, variables: Readonly<Record<string, string>>) => {
      for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
      const client = await connectKserve(url, { input: 'binary', output: 'binary' });
      vi.unstubAllEnvs();
      opened.push(client);
      return client.model('mlp', '').then(
        ({ name }) => name,
        (error: unknown) => (error as AxleError).code,
      );
    };
    const AXLE_TLS_CA = join(pki, 'ca.crt');
    const AXLE_TLS_CERT = join(pki, 'client-bob.crt');
    const AXLE_TLS_KEY = join(pki, 'client-bob.key');
    for (const endpoint of server.doorEndpoints) {
      const url = endpoint.replace(/\/\/.*:/, '//localhost:');
      expect(await statusOf(url, { AXLE_TLS_CA, AXLE_TOKEN: alice })).toBe('mlp');
      expect(await statusOf(url, { AXLE_TLS_CA, AXLE_TLS_CERT, AXLE_TLS_KEY })).toBe('mlp');
      expect(await statusOf(url, { AXLE_TLS_CA })).toBe('UNAUTHENTICATED');
      expect(await statusOf(url, { AXLE_TOKEN: alice })).toBe('UNAVAILABLE');
    }
  });

  it('says to anyone that the server is there, and no more', async () => {
    const nobody = grpcOf();
    expect(await nobody.inference('ServerLive')).toEqual({ live: true });
    expect(await nobody.call('grpc.health.v1.Health', 'Check', {})).toEqual({ status: 'SERVING' });
    expect(await rest('/v2/health/ready')).toBe(200);
    await expect(nobody.inference('ModelReady', { name: 'mlp' })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    expect(await rest('/v2/models/mlp/ready')).toBe(401);
  });

  it('lets a token in no more when it is revoked', async () => {
    const dave = await server.addToken('dave');
    const grpc = grpcOf(dave);
    await grpc.inference('ServerMetadata');
    await server.revoke(dave);
    await expect(grpc.inference('ServerMetadata')).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    expect(await rest('/v2', { authorization: `Bearer ${dave}` })).toBe(401);
  });

  it('ends a stream whose token is revoked, though nothing comes on it', async () => {
    const erin = await server.addToken('erin');
    const [, port = ''] = /:(\d+)$/.exec(server.doorEndpoints[0] ?? '') ?? [];
    const session = connectHttp2(`https://localhost:${port}`, { ca: pem('ca.crt') });
    const stream = session.request({
      ':method': 'POST',
      ':path': '/axle.v1.Axle/CompressStream',
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${erin}`,
    });
    const status = new Promise((resolve) => {
      stream.on('response', ({ 'grpc-status': code }) => code !== undefined && resolve(code));
      stream.on('trailers', ({ 'grpc-status': code }) => {
        resolve(code);
      });
    });
    // One byte to compress.
    const message = Buffer.of(0, 0, 0, 0, 3, 0x0a, 1, 7);
    stream.resume().write(message);
    await grpcOf(erin).inference('ServerMetadata');
    await server.revoke(erin);
    expect(await status).toBe('16');
    session.destroy();
  });
});

describe('a call of nobody', () => {
  let strict: TrustedServer;
  const place = join(folder, 'strict');
  const endpoints = { grpc: join(place, 'grpc.sock'), http: '' };

  beforeAll(async () => {
    mkdirSync(place);
    strict = await TrustedServer.start(place, {
      grpc: ['tcp:127.0.0.1:0'],
      http: ['tcp:127.0.0.1:0'],
      insecure: true,
      tokens: 'tokens.jsonl',
      quotas: { connections: 1 },
    });
    [endpoints.grpc = '', endpoints.http = ''] = strict.doorEndpoints;
  });
  afterAll(() => strict.close());

  it('is refused before its message comes', async () => {
    const session = connectHttp2(endpoints.grpc.replace('grpc:', 'http:'));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/inference.GRPCInferenceService/ModelInfer',
      'content-type': 'application/grpc',
    });
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    expect(headers['grpc-status']).toBe('16');
    session.destroy();
  });

  it('is refused before its body comes', async () => {
    const { hostname, port } = new URL(endpoints.http);
    const socket = connect(Number(port), hostname);
    socket.write(
      'POST /v2/models/mlp/infer HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n',
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(String(answer)).toMatch(/^HTTP\/1.1 401 /);
    socket.destroy();
  });

  it('is let in by its token, over as many connections as its tenant may have', async () => {
    const token = await strict.addToken('erin');
    const rest = new RestClient(endpoints.http, token);
    const grpc = new GrpcClient(endpoints.grpc, token);
    opened.push(rest, grpc);
    expect(await rest.json('GET', '/v2')).toMatchObject({ name: 'axle' });
    expect(await rest.json('GET', '/v2')).toMatchObject({ name: 'axle' });
    await expect(grpc.inference('ServerMetadata')).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
    const another = new GrpcClient(endpoints.grpc, await strict.addToken('frank'));
    opened.push(another);
    expect(await another.inference('ServerMetadata')).toMatchObject({ name: 'axle' });
  });
});

describe('settings', () => {
  it.each([
    [{ grpc: ['tcp:127.0.0.1:0'] }, /without TLS/],
    [{ http: ['tls:127.0.0.1'] }, /takes a certificate and its key; give --tls-cert/],
    [{}, /nothing says where to listen/],
  ])('that open no safe door are refused: %j', async (options, message) => {
    await expect(loadServeSettings(options)).rejects.toThrow(message);
  });

  it.each<[ServeOptions, string]>([
    [{ grpc: ['tcp:127.0.0.1:0'] }, 'at 127.0.0.1:0 (--grpc)'],
    [{ http: ['tls:127.0.0.1'] }, 'TLS at 127.0.0.1:8000 (--http)'],
    [{ metrics: ['nowhere'] }, "cannot listen on 'nowhere' (--metrics)"],
    [{ listen: ['unix:/x'], backends: ['gpu1'] }, "'gpu1' (--backend)"],
    [{ config: join(folder, 'places.json') }, "cannot listen on 'somewhere' (grpc in /"],
  ])('that are wrong are named as they were typed: %j', async (options, message) => {
    writeFileSync(join(folder, 'places.json'), JSON.stringify({ grpc: ['somewhere'] }));
    await expect(loadServeSettings(options)).rejects.toThrow(message);
  });

  it('that count from the next start on are told by their keys', async () => {
    await server.configure({ doorLimits: { streamsMax: 7 } });
    expect(server.log).toContain('a change of doorLimits counts from the next start on');
  });

  it('have the ports that clients expect', async () => {
    const { doors } = await loadServeSettings({
      grpc: ['tcp:localhost'],
      http: ['tcp:localhost'],
      insecure: true,
    });
    expect([doors.grpc[0], doors.http[0]]).toMatchObject([{ port: 8001 }, { port: 8000 }]);
  });
});
