import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

import { describe, expect, it, onTestFinished } from 'vitest';

import { HttpClient, messageIn, type HttpClientOptions } from '../src/http-client/http-client.js';
import { urlEndpoint } from '../src/http-client/url-endpoint.js';

const get = { method: 'GET', path: '/' } as const;

async function clientOf(answer: RequestListener, options?: HttpClientOptions): Promise<HttpClient> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new HttpClient({ kind: 'tcp', host: '127.0.0.1', port }, {}, '', options);
  onTestFinished(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return client;
}

describe('a client of HTTP', () => {
  it('keeps a body up to its limit, and refuses a longer one', async () => {
    const bodies = ['1234', '12345'];
    const client = await clientOf((_, response) => response.end(bodies.shift()), {
      bodyBytesMax: 4,
    });
    expect(await client.send(get)).toMatchObject({ status: 200, bytes: 4, body: '1234' });
    await expect(client.send(get)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: 'the server answers more than 4 bytes',
    });
  });

  it('counts a body that is of no interest, however long, and keeps what a failure says', async () => {
    const answers: [number, string][] = [
      [200, '12345'],
      [500, '1234'],
    ];
    const client = await clientOf(
      (_, response) => {
        const [status, body] = answers.shift() ?? [404, ''];
        response.writeHead(status, { 'axle-code': 'INTERNAL' }).end(body);
      },
      { bodyBytesMax: 4 },
    );
    const counted = { ...get, isCounted: true };
    expect(await client.send(counted)).toMatchObject({ status: 200, bytes: 5, body: '' });
    expect(await client.send(counted)).toMatchObject({
      status: 500,
      body: '1234',
      code: 'INTERNAL',
    });
  });

  it('gives up a server that says nothing, one that is not there, and with its signal', async () => {
    const silent = await clientOf(() => undefined, { silentMsMax: 20 });
    await expect(silent.send(get)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: /said nothing for 0.02 s/,
    });
    const patient = await clientOf(() => undefined);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(patient.send({ ...get, signal })).rejects.toThrow('enough');
    const nobody = new HttpClient({ kind: 'unix', path: '/nobody/here.sock' }, {}, '');
    await expect(nobody.send(get)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('reads what a server says of a failure, whoever it is', () => {
    expect(messageIn('{"error":"no such model"}')).toBe('no such model');
    expect(messageIn(`{"error":"${'x'.repeat(301)}"}`)).toHaveLength(300);
    for (const body of ['', 'null', '[]', '{"error":{}}', '<html>'])
      expect(messageIn(body)).toBe('');
  });
});

describe('the URL of a door', () => {
  const ports = { grpc: 8001, http: 8000 };

  it.each([
    ['http://gpu1', 'http', { kind: 'tcp', host: 'gpu1', port: 8000 }],
    ['http://gpu1:80/', 'http', { kind: 'tcp', host: 'gpu1', port: 80 }],
    ['https://[::1]:443', 'http', { kind: 'tls', host: '::1', port: 443 }],
    ['grpcs://gpu1', 'grpc', { kind: 'tls', host: 'gpu1', port: 8001 }],
    ['grpc+unix:/run/a%20b.sock', 'grpc', { kind: 'unix', path: '/run/a b.sock' }],
  ])('%s', (text, protocol, endpoint) => {
    expect(urlEndpoint(text, ports)).toEqual({ protocol, endpoint });
  });

  it.each([
    'gpu1:8000',
    'ftp://gpu1',
    'toString://gpu1',
    'http://user@gpu1',
    'http://:secret@gpu1',
    'http://gpu1/elsewhere',
    'http://gpu1?x=1#',
    'http+unix:relative',
    'http+unix://host/path',
    'http+unix:/%zz',
    'http://',
    'http://gpu1:99999',
  ])('is not %s', (text) => {
    expect(urlEndpoint(text, ports)).toBeUndefined();
  });
});
