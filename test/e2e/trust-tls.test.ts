import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer, type AddressInfo } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { once } from 'node:events';

import { connect, type Client, type ConnectOptions } from 'axle';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { bytesOf, folder } from './serve.js';
import { makeCertificates, TrustedServer } from './trusted-server.js';

const ours = join(folder, 'ours');
const theirs = join(folder, 'theirs');
const place = join(folder, 'tls');
const clients: Client[] = [];
let server: TrustedServer;
let url: string;

const asTenant = (tenant: string, from = ours): NonNullable<ConnectOptions['tls']> => ({
  ca: join(ours, 'ca.crt'),
  cert: join(from, `client-${tenant}.crt`),
  key: join(from, `client-${tenant}.key`),
});

async function enter(options: ConnectOptions, at = url): Promise<Client> {
  const client = await connect(at, options);
  clients.push(client);
  return client;
}

/** Puts a pair of files where the server reads them. */
function install(from: string, name: string): void {
  copyFileSync(join(from, `${name}.crt`), join(place, 'server.crt'));
  copyFileSync(join(from, `${name}.key`), join(place, 'server.key'));
}

beforeAll(async () => {
  makeCertificates(ours, '--client', 'alice', '--client', 'bob');
  makeCertificates(theirs, '--client', 'alice');
  mkdirSync(place);
  install(ours, 'server');
  const tls = { certificate: 'server.crt', key: 'server.key', clientCa: join(ours, 'ca.crt') };
  const listen = ['tls:127.0.0.1:0'];
  server = await TrustedServer.start(place, { listen, tls, tokens: 'tokens.jsonl' });
  url = `axle+tls://localhost:${server.port}`;
});
afterAll(() => server.close());
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

describe('over TLS', () => {
  it('a certificate lets in, as the tenant that it names', async () => {
    const client = await enter({ tls: asTenant('alice') });
    const { data, device } = await client.compress(bytesOf(300_000));
    expect(device).toBe('remote/cpu-fallback:0');
    expect(Buffer.compare((await client.decompress(data)).data, bytesOf(300_000))).toBe(0);
    await server.configure({ tenants: { bob: { disabled: true } } });
    await expect(enter({ tls: asTenant('bob') })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    await enter({ tls: asTenant('alice') });
    await server.configure({ tenants: {} });
  });

  it('a token does as well, by the address or a name, and the environment may say all of it', async () => {
    const token = await server.addToken('carol');
    const ca = join(ours, 'ca.crt');
    await enter({ token, tls: { ca } });
    await enter({ token, tls: { ca: readFileSync(ca) } }, server.endpoint);
    Object.assign(process.env, { AXLE_TLS_CA: ca, AXLE_TOKEN: token });
    try {
      await enter({});
    } finally {
      delete process.env['AXLE_TLS_CA'];
      delete process.env['AXLE_TOKEN'];
    }
  });

  it('a CA without any PEM is refused by the name that it was given under', async () => {
    await expect(enter({ tls: { ca: Buffer.from('none') } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('tls.ca') as string,
    });
  });

  it.each([
    ['no credentials', () => ({ tls: { ca: join(ours, 'ca.crt') } })],
    ['a certificate that another CA signed', () => ({ tls: asTenant('alice', theirs) })],
    [
      "a server's certificate",
      () => ({
        tls: {
          ...asTenant('server'),
          cert: join(ours, 'server.crt'),
          key: join(ours, 'server.key'),
        },
      }),
    ],
  ])('%s: refused', async (_what, options) => {
    await expect(enter(options())).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it("a token is refused beside another tenant's certificate", async () => {
    const token = await server.addToken('alice');
    await enter({ token, tls: asTenant('alice') });
    const refused = enter({ token, tls: asTenant('bob') });
    await expect(refused).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(server.log.at(-1)).toMatch(/certificate is of bob, its token of alice/);
  });

  it('sessions are not resumed: what a CA said once would come back', async () => {
    const options = {
      port: server.port,
      host: '127.0.0.1',
      ca: readFileSync(join(ours, 'ca.crt')),
    };
    let session: Buffer | undefined;
    const first = connectTls({ ...options, maxVersion: 'TLSv1.2' });
    first.on('session', (given: Buffer) => {
      session = given;
    });
    await once(first, 'secureConnect');
    expect(first.alpnProtocol).toBe(false);
    const second: TLSSocket = connectTls({
      ...options,
      maxVersion: 'TLSv1.2',
      session: session ?? first.getSession(),
    });
    await once(second, 'secureConnect');
    expect(second.isSessionReused()).toBe(false);
    first.destroy();
    second.destroy();
  });
});

describe('a client asks who the server is', () => {
  it('and does not talk to one that its CA did not sign for', async () => {
    const untrusting = enter({ tls: { ca: join(theirs, 'ca.crt') } });
    await expect(untrusting).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(untrusting).rejects.toThrow(/AXLE_TLS_CA/);
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      const { cert, key } = asTenant('alice');
      await expect(enter({ tls: { cert, key } })).rejects.toThrow(/is not to be trusted/);
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
  });

  it('nor to one that is certified under another name', async () => {
    const refused = enter({ tls: { ...asTenant('alice'), serverName: 'gpu.example' } });
    await expect(refused).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(refused).rejects.toThrow(/another name.*serverName/);
  });

  it('nor to a client that poses as a server', async () => {
    install(ours, 'client-alice');
    await server.reload();
    await expect(enter({ tls: asTenant('bob') })).rejects.toThrow(
      /not one for servers|another name/,
    );
    install(ours, 'server');
    await server.reload();
  });

  it('and says what is amiss when one side speaks TLS and the other does not', async () => {
    const plain = enter({}, `axle://127.0.0.1:${server.port}`);
    await expect(plain).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(plain).rejects.toThrow(/axle\+tls:/);
    expect(server.log.at(-1)).toMatch(/no TLS with .*: the other side does not speak TLS$/);
    const listener = createServer((socket) => socket.end('hello\n')).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    await expect(enter({}, `axle+tls://127.0.0.1:${port}`)).rejects.toThrow(
      /\(the other side does not speak TLS\); if it is a server without TLS, connect with axle:$/,
    );
    listener.close();
  });
});

describe('certificates of clients', () => {
  it('that their CA has revoked are refused from then on', async () => {
    const config = join(place, 'ca.cnf');
    const file = (name: string) => join(place, name);
    writeFileSync(file('index.txt'), '');
    writeFileSync(
      config,
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${file('index.txt')}\ndefault_md=sha256\ndefault_crl_days=1\n`,
    );
    const ca = (...args: readonly string[]) => {
      const keys = ['-keyfile', join(ours, 'ca.key'), '-cert', join(ours, 'ca.crt')];
      execFileSync('openssl', ['ca', '-config', config, ...keys, ...args], { stdio: 'pipe' });
    };
    ca('-gencrl', '-out', file('clients.crl'));
    const tls = { certificate: 'server.crt', key: 'server.key', clientCa: join(ours, 'ca.crt') };
    await server.configure({ tls: { ...tls, crl: 'clients.crl' } });
    await enter({ tls: asTenant('alice') });
    ca('-revoke', join(ours, 'client-alice.crt'));
    ca('-gencrl', '-out', file('clients.crl'));
    await server.waitForLog(/in force/);
    await expect(enter({ tls: asTenant('alice') })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    expect(server.log.at(-1)).toMatch(/CERT_REVOKED|revoked/);
    await enter({ tls: asTenant('bob') });
    await server.configure({ tls });
    await enter({ tls: asTenant('alice') });
  });
});

describe('certificates that change while the server runs', () => {
  it('count for connections from then on, and drop none', async () => {
    const before = await enter({ tls: asTenant('alice') });
    install(theirs, 'server');
    await server.waitForLog(/in force/);
    const known = { tls: { ...asTenant('alice'), ca: join(theirs, 'ca.crt') } };
    await enter(known);
    await expect(enter({ tls: asTenant('alice') })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    await before.compress(bytesOf(10));
    install(ours, 'server');
    await server.waitForLog(/in force/);
  });

  it('stay as they were when the new ones cannot be used, which is logged', async () => {
    copyFileSync(join(theirs, 'server.key'), join(place, 'server.key'));
    await server.reload();
    expect(server.log.at(-1)).toMatch(
      /stay as they were: .*\(the key belongs to another certificate\)/,
    );
    await enter({ tls: asTenant('alice') });
    const terms = ['-days', '-1', '-CA', join(ours, 'ca.crt'), '-CAkey', join(ours, 'ca.key')];
    const request = join(place, 'old.csr');
    const key = join(ours, 'server.key');
    execFileSync('openssl', ['req', '-new', '-key', key, '-subj', '/CN=old', '-out', request]);
    const files = ['-in', request, '-out', join(place, 'server.crt'), '-set_serial', '7'];
    execFileSync('openssl', ['x509', '-req', ...files, ...terms], { stdio: 'pipe' });
    copyFileSync(key, join(place, 'server.key'));
    await server.reload();
    expect(server.log.at(-1)).toMatch(/stay as they were: .*expired/);
    await enter({ tls: asTenant('alice') });
    install(ours, 'server');
    await server.reload();
  });
});
