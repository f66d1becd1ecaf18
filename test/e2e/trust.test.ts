import { mkdirSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { join } from 'node:path';

import { connect, type Client } from 'axle';
import { WireErrorId, type ErrorFrame, type Frame, type WelcomeFrame } from '@axle/remoting';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { bindCompress, callOf, hello, RawPeer } from './raw-peer.js';
import { bytesOf, folder } from './serve.js';
import { TrustedServer, type Bounds } from './trusted-server.js';

const clients: Client[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

async function enter(server: TrustedServer, token: string, tenant?: string): Promise<Client> {
  const client = await connect(server.endpoint, { token, tenant });
  clients.push(client);
  return client;
}

function tokenHello(token: string, changes: Partial<typeof hello> = {}): typeof hello {
  return { ...hello, credential: 'TOKEN', token: Buffer.from(token), ...changes };
}

const isWelcome = ({ type }: Frame) => type === 'WELCOME';

let places = 0;

/** A server on TCP that asks for tokens. */
async function serverWith(config: object = {}, options: Bounds = {}): Promise<TrustedServer> {
  const place = join(folder, `s${++places}`);
  mkdirSync(place);
  const common = { listen: ['tcp:127.0.0.1:0'], insecure: true, tokens: 'tokens.jsonl' };
  return TrustedServer.start(place, { ...common, ...config }, options);
}

describe('a token', () => {
  let server: TrustedServer;
  let alice: string;

  beforeAll(async () => {
    server = await serverWith();
    alice = await server.addToken('alice');
  });
  afterAll(() => server.close());

  it('lets its holder in, as its tenant', async () => {
    const peer = await RawPeer.at(server.port, tokenHello(alice));
    expect(await peer.waitFor(({ type }) => type === 'WELCOME')).toMatchObject({ tenant: 'alice' });
    peer.close();
    const client = await enter(server, alice);
    expect((await client.compress(bytesOf(100))).device).toBe('remote/cpu-fallback:0');
  });

  it('that is wrong, expired, revoked, cut or not there is refused with the same words', async () => {
    const other = await server.addToken('bob');
    const expired = await server.addToken('bob', { expires: new Date(1e12).toISOString() });
    const revoked = await server.addToken('bob');
    await server.revoke(revoked);
    const wrong = alice.slice(0, 22) + other.slice(22);
    const messages = new Set<string>();
    for (const token of [wrong, expired, revoked, alice.slice(0, -1), `${alice}x`, 'x', '']) {
      const failure = enter(server, token);
      await expect(failure).rejects.toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
      await failure.catch(({ message }: Error) => messages.add(message));
    }
    expect(messages.size).toBe(1);
    const log = server.log.join('\n');
    expect(log).toMatch(/127\.0\.0\.1.*is expired/);
    expect(log).toMatch(/127\.0\.0\.1.*is revoked/);
    for (const secret of [alice, other, expired, revoked]) {
      expect(log + [...messages].join()).not.toContain(secret.slice(22));
    }
  });

  it('that is revoked ends the connections of its holder, and no other', async () => {
    const bob = await server.addToken('bob');
    const [mine, hers] = [await enter(server, bob), await enter(server, alice)];
    const running = mine.compress(bytesOf(6_000_000), { level: 19 });
    const failed = expect(running).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await mine.compress(bytesOf(10));
    await server.revoke(bob);
    await failed;
    await expect(mine.compress(bytesOf(10))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await hers.compress(bytesOf(10))).device).toBe('remote/cpu-fallback:0');
  });

  it('acts for others only where it was made to', async () => {
    const relay = await server.addToken('relay', { mayActFor: ['alice', 'carol'] });
    const peer = await RawPeer.at(server.port, tokenHello(relay, { tenant: 'carol' }));
    expect(await peer.waitFor(({ type }) => type === 'WELCOME')).toMatchObject({ tenant: 'carol' });
    peer.close();
    for (const [token, tenant] of [
      [relay, 'bob'],
      [relay, '../bob'],
      [alice, 'relay'],
    ] as const) {
      const refused = enter(server, token, tenant);
      await expect(refused).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    }
  });

  it('is not sent where it could be read, and not taken from a URL', async () => {
    const far = connect('axle://axle.example:7471', { token: alice });
    await expect(far).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    const inUrl = connect(`axle://user:${alice}@127.0.0.1:${server.port}`);
    await expect(inUrl).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await inUrl.catch(({ message }: Error) => {
      expect(message).toContain('AXLE_TOKEN');
      expect(message).not.toContain(alice);
    });
  });
});

describe('settings', () => {
  let server: TrustedServer;
  let alice: string;

  beforeEach(async () => {
    server = await serverWith();
    alice = await server.addToken('alice');
  });
  afterEach(() => server.close());

  it('are read again when the file changes, and no connection is lost', async () => {
    const client = await enter(server, alice);
    await server.configure({ tenants: { alice: { quotas: { connections: 1 } } } });
    await expect(enter(server, alice)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await client.compress(bytesOf(10));
    await server.configure({ tenants: { alice: { disabled: true } } });
    await expect(client.compress(bytesOf(10))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(enter(server, alice)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('give a tenant a queue of its own depth, from when they are read again', async () => {
    const client = await enter(server, alice);
    const input = bytesOf(200_000);
    const refusedOf = async () => {
      const calls = Array.from({ length: 64 }, () => client.compress(input, { codec: 'zstd' }));
      const ended = await Promise.allSettled(calls);
      return ended.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []));
    };
    expect(await refusedOf()).toEqual([]);
    await server.configure({ tenants: { alice: { queueDepth: 2 } } });
    const refused = await refusedOf();
    expect(refused.length).toBeGreaterThan(0);
    for (const reason of refused) {
      expect(reason).toMatch(
        /2 tasks wait for \S+ from tenant alice already, the most of this tenant \(queueDepth\)/,
      );
    }
    await server.configure({ tenants: {} });
    expect(await refusedOf()).toEqual([]);
  });

  it('give all tenants queues of another depth, from when they are read again', async () => {
    const client = await enter(server, alice);
    await server.configure({ tenantQueueDepth: 2 });
    const input = bytesOf(200_000);
    const calls = Array.from({ length: 64 }, () => client.compress(input, { codec: 'zstd' }));
    const ended = await Promise.allSettled(calls);
    const refused = ended.flatMap((each) => (each.status === 'rejected' ? [each] : []));
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) {
      expect(String(reason)).toMatch(
        /2 tasks wait for \S+ from tenant alice already, the most of each tenant/,
      );
    }
    expect(server.log.join('\n')).not.toMatch(/tenantQueueDepth counts from the next start/);
    await server.configure({ tenantQueueDepth: 4096 });
    await Promise.all(Array.from({ length: 64 }, () => client.compress(input, { codec: 'zstd' })));
  });

  it('that cannot be used are refused by name, and the old ones stay', async () => {
    await server.configure({ tenants: { alice: { quotas: { conections: 0 } } } });
    expect(server.log.at(-1)).toMatch(/stay as they were: .*config\.json.*'conections'/);
    await server.configure({ tenants: { alice: { queueDepth: 0 } } });
    expect(server.log.at(-1)).toMatch(/stay as they were: .*'queueDepth'.* from 1 to/);
    await enter(server, alice);
  });
});

describe('quotas', () => {
  let server: TrustedServer;
  let alice: string;
  let bob: string;

  beforeAll(async () => {
    const quotas = { connections: 2, calls: 4, handles: 6, requestBytes: 1_000_000 };
    server = await serverWith({ tenants: { alice: { quotas } } });
    alice = await server.addToken('alice');
    bob = await server.addToken('bob');
  });
  afterAll(() => server.close());

  it('bound the connections of one tenant, and give back those that closed', async () => {
    const first = await RawPeer.at(server.port, tokenHello(alice));
    const second = await RawPeer.at(server.port, tokenHello(alice));
    await second.waitFor(({ type }) => type === 'WELCOME');
    const third = await RawPeer.at(server.port, tokenHello(alice));
    const [goaway] = await third.untilClosed();
    expect(goaway).toMatchObject({ type: 'GOAWAY', code: 'RESOURCE_EXHAUSTED' });
    await enter(server, bob);
    first.close();
    second.close();
    await expect.poll(() => server.connections).toBe(1);
    await enter(server, alice);
  });

  it('bound calls, bytes and handles over all connections of a tenant, and give them back', async () => {
    const [one, two] = [
      await RawPeer.at(server.port, tokenHello(alice)),
      await RawPeer.at(server.port, tokenHello(alice)),
    ];
    const due = (id: number, bytes: number) =>
      callOf(id, 1, new Uint8Array(0), {
        inputs: [{ source: 'FOLLOWS', slot: 0, dtype: 'UINT8', shape: [bytes], name: '', bytes }],
      });
    one.send(bindCompress(1), due(2, 600_000));
    await one.answerOf(1);
    // Bytes: the other connection has what is left.
    two.send(bindCompress(1), due(2, 500_000), due(3, 2_000_000), due(4, 300_000));
    expect(await two.answerOf(2)).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true });
    expect(await two.answerOf(3)).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: false });
    // Calls: two wait for their data.
    two.send(due(5, 1), due(6, 1), due(7, 1));
    const refused = await two.answerOf(7);
    expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true });
    expect((refused as ErrorFrame).message).toMatch(/tenant alice may have 4 calls/);
    // Others have their own.
    const client = await enter(server, bob);
    await client.compress(bytesOf(2_000_000), { level: 1 });
    one.close();
    await expect
      .poll(async () => {
        const again = await RawPeer.at(server.port, tokenHello(alice));
        const { type } = await again.waitFor(() => true);
        if (type === 'WELCOME') again.send(bindCompress(1), callOf(2, 1, bytesOf(500)));
        const answer = type === 'WELCOME' ? (await again.answerOf(2)).type : type;
        again.close();
        return answer;
      })
      .toBe('RESULT');
    two.send(bindCompress(10), bindCompress(11), bindCompress(12));
    expect((await two.answerOf(12)) as ErrorFrame).toMatchObject({
      message: expect.stringMatching(/6 open handles/) as string,
    });
    two.close();
  });
});

describe('a client', () => {
  it('keeps no more bindings than its handles have room for', async () => {
    const quotas = { handles: 8 };
    const server = await serverWith({ tenants: { alice: { quotas } } });
    const [alice, bob] = [await server.addToken('alice'), await server.addToken('bob')];
    const levels = Array.from({ length: 12 }, (_, i) => ({ level: i + 1 }));
    const client = await enter(server, alice);
    for (const level of levels) await client.compress(bytesOf(9), level);

    // One that was told of many more finds out when it is refused.
    const other = await enter(server, bob);
    for (const level of levels) await other.compress(bytesOf(9), level);
    await server.configure({ tenants: { alice: { quotas }, bob: { quotas } } });
    const refused = other.compress(bytesOf(9), { level: 13 });
    await expect(refused).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true });
    for (const level of levels) await other.compress(bytesOf(9), level);
    await server.close();
  });
});

describe('shared memory', () => {
  it('is bounded for each tenant, who does without what is past it', async () => {
    const [a, b] = ['a', 'b'].map((tenant) => join(folder, `memory-${tenant}.sock`));
    const server = await serverWith({
      listen: [`unix:${a},tenant=a`, `unix:${b},tenant=b`],
      quotas: { sharedMemoryBytes: 300 * 1024 * 1024 },
    });
    const peerAt = async (path = '') => {
      const peer = await RawPeer.at(path, { ...hello, features: 1 });
      const { features } = (await peer.waitFor(isWelcome)) as WelcomeFrame;
      return { peer, features };
    };
    const first = await peerAt(a);
    expect(first.features).toBe(1);
    const [second, other] = [await peerAt(a), await peerAt(b)];
    expect(second.features).toBe(0);
    expect(other.features).toBe(1);
    for (const { peer } of [first, second]) peer.close();
    await vi.waitUntil(() => server.connections === 1);
    expect((await peerAt(a)).features).toBe(1);
    await server.close();
  });
});

describe('what one tenant holds', () => {
  it('is not there for another: neither its handles nor what its client is known by', async () => {
    const server = await serverWith();
    const [alice, bob] = [await server.addToken('alice'), await server.addToken('bob')];
    const nonce = new Uint8Array(16).fill(7);
    const hers = await RawPeer.at(server.port, tokenHello(alice, { nonce }), bindCompress(5));
    await hers.answerOf(5);
    const his = await RawPeer.at(server.port, tokenHello(bob, { nonce }), bindCompress(6));
    expect(await his.waitFor(({ type }) => type === 'WELCOME')).toMatchObject({ lastHandle: 0 });
    his.send(callOf(7, 5, bytesOf(10)), { type: 'RELEASE', id: 5 }, { type: 'CANCEL', id: 5 });
    expect(await his.answerOf(7)).toMatchObject({ code: 'NOT_FOUND' });
    hers.send(callOf(6, 5, bytesOf(10)));
    expect(await hers.answerOf(6)).toMatchObject({ type: 'RESULT' });
    hers.close();
    his.close();
    await server.close();
  });
});

describe('clients that do not read', () => {
  it('lose their connection before the answers fill the memory', async () => {
    const server = await serverWith();
    const token = await server.addToken('alice');
    const small = { payloadMax: 4096, streamWindow: 4096, connectionWindow: 4 * 4096 };
    const flood = await RawPeer.at(server.port, tokenHello(token, small));
    await flood.waitFor(({ type }) => type === 'WELCOME');
    for (let id = 1; id <= 17_000; id++) flood.send({ type: 'READ', id, model: 1, file: 'x' });
    const last = (await flood.untilClosed()).at(-1);
    expect(last).toMatchObject({ type: 'GOAWAY', wireError: WireErrorId.CREDIT_STALL });
    await server.close();
  });
});

describe.concurrent('peers that never say who they are', () => {
  it('are cut off in time, whatever they drip', async ({ expect }) => {
    const server = await serverWith({}, { handshakeMs: 200 });
    const silent = await RawPeer.at(server.port);
    const dripping = await RawPeer.at(server.port);
    const drip = setInterval(() => dripping.socket.write(Buffer.alloc(1)), 10);
    // A greeting of 65,536 bytes that never ends.
    dripping.sendBytes(Buffer.from([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    for (const peer of [silent, dripping]) {
      const [goaway] = await peer.untilClosed();
      expect(goaway).toMatchObject({
        wireError: WireErrorId.HANDSHAKE_TIMEOUT,
        message: expect.stringMatching(/^within \d+ ms: no HELLO came/) as string,
      });
    }
    clearInterval(drip);
    await expect.poll(() => server.connections).toBe(0);
    await server.close();
  });

  it('do nothing before they greet, and nothing after they were refused', async ({ expect }) => {
    const server = await serverWith();
    const early = await RawPeer.at(server.port, bindCompress(1));
    expect(await early.untilClosed()).toMatchObject([{ wireError: WireErrorId.WRONG_STATE }]);
    const unknown = await RawPeer.at(server.port, hello, bindCompress(1), callOf(2, 1, bytesOf(9)));
    const frames = await unknown.untilClosed();
    expect(frames).toMatchObject([{ type: 'GOAWAY', code: 'UNAUTHENTICATED', last: 0 }]);
    await server.close();
  });

  it('make room for newer ones when they are too many', async ({ expect }) => {
    const server = await serverWith({}, { newcomersMax: 4 });
    const token = await server.addToken('alice');
    const [first, second] = [await RawPeer.at(server.port), await RawPeer.at(server.port)];
    const later = await Promise.all(Array.from({ length: 3 }, () => dial(server.port)));
    expect(await first.untilClosed()).toEqual([]);
    // Pushes the second one out, and is a newcomer no more.
    const client = await connect(server.endpoint, { token });
    expect(await second.untilClosed()).toEqual([]);
    await client.compress(bytesOf(10));
    expect(later.map(({ closed }) => closed)).toEqual([false, false, false]);
    await client.close();
    for (const socket of later) socket.destroy();
    await server.close();
  });

  it('leave nothing behind when 10,000 of them come and go', async ({ expect }) => {
    const server = await serverWith();
    const client = await connect(server.endpoint, { token: await server.addToken('alice') });
    for (let i = 0; i < 50; i++) {
      const sockets = await Promise.all(Array.from({ length: 200 }, () => dial(server.port)));
      for (const [j, socket] of sockets.entries()) {
        if (j % 2 === 0) socket.destroy();
        else socket.resetAndDestroy();
      }
    }
    await client.compress(bytesOf(10));
    await expect.poll(() => server.connections).toBe(1);
    await client.close();
    await server.close();
  });
});

function dial(port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connectSocket(port, '127.0.0.1', () => {
      resolve(socket);
    });
    socket.on('error', () => undefined);
  });
}
