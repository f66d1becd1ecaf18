import type { X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';

import { LimitedLog } from '../src/log/limited-log.js';
import { readEndpoint } from '../src/endpoint.js';
import { readListenSpec } from '../src/server/listen-spec.js';
import { readConfigFile } from '../src/server/settings/config-file.js';
import { loadServeSettings } from '../src/server/settings/serve-settings.js';
import { Authenticator, type Peer } from '../src/trust/authenticator.js';
import { certificateTenant } from '../src/trust/certificate-tenant.js';
import { Ledger } from '../src/trust/ledger.js';
import { defaultQuotas, defaultServerLimits } from '../src/trust/quotas.js';
import type { TenancySettings } from '../src/trust/tenants.js';
import { readTokenLines, writeTokenLines } from '../src/trust/token-lines.js';
import { createToken, TokenTable, type TokenRecord } from '../src/trust/tokens.js';

const fields = { tenant: 'alice', expires: null, mayActFor: [], note: '' };
const epoch = new Date(0);

function made(changes: Partial<TokenRecord> = {}): { token: string; record: TokenRecord } {
  const { token, record } = createToken({ ...fields, ...changes }, epoch);
  return { token, record: { ...record, ...changes } };
}

describe('tokens', () => {
  it('are found by the whole of their text, and kept without it', () => {
    const { token, record } = made();
    const table = new TokenTable([record, made().record]);
    expect(table.find(Buffer.from(token))).toBe(record);
    expect(writeTokenLines([record])).not.toContain(token.slice(22));
  });

  it('are not found when any character of them is another', () => {
    const { token, record } = made();
    const table = new TokenTable([record]);
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.integer({ min: 1, max: 255 }), (place, change) => {
        const bytes = Buffer.from(token);
        bytes[place] = (bytes[place] as number) ^ change;
        expect(table.find(bytes)).toBeUndefined();
      }),
    );
    expect(table.find(Buffer.from(record.sha256, 'hex'))).toBeUndefined();
    expect(table.find(new Uint8Array(0))).toBeUndefined();
  });

  it('are read back from their lines as they were written', () => {
    const records = [made().record, made({ mayActFor: ['*', 'bob'], note: 'a "note"' }).record];
    expect(readTokenLines(writeTokenLines(records), 'tokens')).toEqual(records);
  });

  it.each([
    ['{', /tokens, line 2 is no JSON/],
    ['[]', /tokens, line 2 is not an object/],
    [{ tenant: '../x' }, /'tenant'/],
    [{ sha256: 'ab' }, /'sha256'/],
    [{ expires: 'tomorrow' }, /'expires'/],
    [{ expires: '2030-02-31T00:00:00.000Z' }, /'expires'/],
    [{ revoked: undefined }, /'revoked' is missing/],
    [{ mayActFor: 'bob' }, /'mayActFor'/],
    [{ admin: true }, /'admin' means nothing/],
    [JSON.parse('{"__proto__": {"x": 1}}') as object, /'__proto__' means nothing|is missing/],
  ])('in a line like %j are refused, naming what is wrong', (line, message) => {
    const { record } = made();
    const text = typeof line === 'string' ? line : JSON.stringify({ ...record, ...line });
    const lines = `${writeTokenLines([made().record])}${text}\n`;
    expect(() => readTokenLines(lines, 'tokens')).toThrow(message);
    expect(() => readTokenLines(lines, 'tokens')).not.toThrow(record.sha256);
  });

  it('with the same id twice are refused', () => {
    const { record } = made();
    expect(() => readTokenLines(writeTokenLines([record, record]), 'tokens')).toThrow(
      /second time/,
    );
  });
});

describe('the name in a certificate', () => {
  const tenantOf = (subjectAltName: string) =>
    certificateTenant({ subjectAltName } as X509Certificate);

  it.each([
    ['URI:axle:tenant:alice', 'alice'],
    ['DNS:a.example, URI:axle:tenant:alice.2, IP Address:10.0.0.1', 'alice.2'],
    ['DNS:alice', undefined],
    ['URI:axle:tenant:', undefined],
    ['URI:axle:tenant:../x', undefined],
    ['URI:axle:tenant:a, URI:axle:tenant:b', undefined],
    // As Node shows a name that holds what separates names.
    ['DNS:"x, URI:axle:tenant:alice, y"', undefined],
    ['DNS:"x\\", URI:axle:tenant:alice, y", URI:axle:tenant:bob', 'bob'],
  ])('%s: %s', (text, tenant) => {
    expect(tenantOf(text)).toBe(tenant);
  });
});

describe('an identity', () => {
  const others = { weight: 1, disabled: false, quotas: defaultQuotas };
  const tenancy: TenancySettings = { limits: defaultServerLimits(), others, named: new Map() };
  const peer: Peer = {
    address: 'here',
    listenerTenant: undefined,
    insecure: false,
    certificate: undefined,
  };
  const anonymous = { credential: 'NONE', token: new Uint8Array(0), tenant: '' } as const;

  it('ends when its token or certificate does', () => {
    let now = 0;
    const { token, record } = made({ expires: new Date(1000).toISOString() });
    const settings = { tenancy, tokens: new TokenTable([record]) };
    const authenticator = new Authenticator(
      settings,
      () => now,
      () => undefined,
    );
    const hello = { credential: 'TOKEN', token: Buffer.from(token), tenant: '' } as const;
    const byToken = authenticator.identify(hello, peer);
    const certificate = { tenant: 'alice', problem: undefined, validUntil: 2000 };
    const byCertificate = authenticator.identify(anonymous, { ...peer, certificate });
    expect(byToken.tenant).toBe(byCertificate.tenant);
    now = 999;
    expect(authenticator.lapsed(byToken)).toBeUndefined();
    now = 1000;
    expect(authenticator.lapsed(byToken)).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(() => authenticator.identify(hello, peer)).toThrow(/does not know these/);
    expect(authenticator.lapsed(byCertificate)).toBeUndefined();
    now = 2000;
    expect(authenticator.lapsed(byCertificate)).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('ends when its token goes, is of another tenant, or may not act for it any more', () => {
    const { token, record } = made({ mayActFor: ['bob'] });
    const authenticator = new Authenticator(
      { tenancy, tokens: new TokenTable([record]) },
      () => 0,
      () => undefined,
    );
    const hello = { credential: 'TOKEN', token: Buffer.from(token), tenant: 'bob' } as const;
    const identity = authenticator.identify(hello, peer);
    for (const changed of [[], [{ ...record, tenant: 'carol' }], [{ ...record, mayActFor: [] }]]) {
      authenticator.update({ tenancy, tokens: new TokenTable(changed) });
      expect(authenticator.lapsed(identity)).toMatchObject({ code: 'UNAUTHENTICATED' });
    }
    authenticator.update({ tenancy, tokens: new TokenTable([record]) });
    expect(authenticator.lapsed(identity)).toBeUndefined();
  });

  it('is that of the listener only where the client shows nothing else', () => {
    const reasons: string[] = [];
    const { record } = made();
    const settings = { tenancy, tokens: new TokenTable([record]) };
    const authenticator = new Authenticator(
      settings,
      () => 0,
      (_peer, why) => reasons.push(why),
    );
    const local = { ...peer, listenerTenant: 'local' };
    expect(authenticator.identify(anonymous, local).tenant.name).toBe('local');
    const wrong = { credential: 'TOKEN', token: Buffer.from('x'), tenant: '' } as const;
    expect(() => authenticator.identify(wrong, local)).toThrow(/does not know these/);
    const bad = { tenant: undefined, problem: 'CERT_HAS_EXPIRED', validUntil: 0 };
    expect(() => authenticator.identify(anonymous, { ...local, certificate: bad })).toThrow();
    // An insecure listener is nobody's where there are tokens.
    expect(() => authenticator.identify(anonymous, { ...peer, insecure: true })).toThrow();
    expect(reasons).toEqual([
      'its token is not known',
      'its certificate: CERT_HAS_EXPIRED',
      'it showed no token',
    ]);
  });
});

describe('a ledger', () => {
  it('counts what is taken, never past a quota, and for the whole as well', () => {
    const quotas = { ...defaultQuotas, requestBytes: 100 };
    const whole = new Ledger('this server', { ...defaultQuotas, requestBytes: 150 });
    const [one, two] = [new Ledger('one', quotas, whole), new Ledger('two', quotas, whole)];
    one.take('requestBytes', 100);
    expect(() => one.take('requestBytes', 1)).toThrow(/one may have 100 bytes/);
    expect(() => two.take('requestBytes', 60)).toThrow(/this server may have 150/);
    expect(() => two.take('requestBytes', 101)).toThrow(
      expect.objectContaining({ retryable: false }) as Error,
    );
    expect(two.isIdle).toBe(true);
    two.take('requestBytes', 50);
    one.give('requestBytes', 100);
    expect([one.used('requestBytes'), whole.used('requestBytes')]).toEqual([0, 50]);
  });
});

describe('a config file', () => {
  it('is read with paths from its folder, and every number within its bounds', () => {
    const config = readConfigFile(
      JSON.stringify({
        listen: ['tls:0.0.0.0'],
        tls: { certificate: 'a.crt', key: '/k/a.key' },
        tokens: '../tokens',
        quotas: { calls: 5 },
        tenants: { alice: { weight: 2, quotas: { connections: 0 } } },
      }),
      '/etc/axle/config.json',
    );
    expect(config).toMatchObject({
      certificate: '/etc/axle/a.crt',
      key: '/k/a.key',
      tokens: '/etc/tokens',
      quotas: { calls: 5 },
    });
    expect(config.tenants.get('alice')).toEqual({
      weight: 2,
      disabled: false,
      quotas: { connections: 0 },
    });
  });

  it.each([
    ['nonsense', /config\.json is no JSON/],
    ['[]', /not an object/],
    ['{"listn": []}', /config\.json: 'listn' means nothing; there are: listen, /],
    ['{"listen": "unix:x"}', /'listen' is not as it should be; give an array/],
    ['{"graceSeconds": -1}', /'graceSeconds'.*from 0 to 3600/],
    ['{"insecure": "yes"}', /'insecure'.*true or false/],
    ['{"tls": {"cert": "x"}}', /tls in .*: 'cert' means nothing.*certificate, key, clientCa/],
    ['{"tenants": {"a b": {}}}', /'a b' is no name of a tenant/],
    ['{"tenants": {"a": {"weight": 0}}}', /'weight'/],
    ['{"tenants": {"a": {"quotas": {"calls": 1.5}}}}', /quotas in a in tenants in .*'calls'/],
  ])('%s is refused, naming the key', (text, message) => {
    expect(() => readConfigFile(text, 'config.json')).toThrow(message);
  });
});

describe('settings with which nobody, or anybody, could enter', () => {
  const folder = mkdtempSync(join(tmpdir(), 'axle-settings-'));
  const open = join(folder, 'open');
  const closed = join(folder, 'closed');
  writeFileSync(open, '');
  chmodSync(open, 0o666);
  writeFileSync(closed, '', { mode: 0o600 });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it.each([
    [{}, /where to listen/],
    [{ listen: ['tcp:h:1'] }, /without TLS.*--tls-cert.*--insecure/],
    [{ listen: ['tls:h:1'] }, /^TLS at h:1 .*--tls-cert and --tls-key .*axle ca dev makes/],
    [{ listen: ['tls:h:1'], insecure: true }, /--tls-cert/],
    [{ listen: ['tcp:h:1'], certificate: closed }, /--tls-cert and --tls-key/],
    [{ listen: ['tcp:h:1'], certificate: closed, key: closed }, /cannot be used.*PEM/],
    [{ listen: ['unix:s'], tokens: join(folder, 'none') }, /cannot read.*axle token create/],
    [{ listen: ['unix:s'], tokens: open }, /others may write.*chmod 600/],
    [{ listen: ['unix:s'], config: open }, /open is no JSON/],
  ])('%j are refused', async (options, message) => {
    await expect(loadServeSettings(options)).rejects.toThrow(message);
  });

  it('are not those of a socket, or of TCP where that was allowed', async () => {
    const { trust, listen } = await loadServeSettings({
      listen: ['unix:s', 'tcp:h:1'],
      insecure: true,
      tokens: closed,
    });
    expect(listen).toMatchObject([{ tenant: 'local' }, { tls: false }]);
    expect(trust.tokens).toBeDefined();
  });
});

describe('where a server listens', () => {
  it.each([
    ['tcp:h:1', false, { host: 'h', port: 1, tls: true, tenant: undefined }],
    ['tcp:h:1', true, { tls: false }],
    ['tls:[::1]:1,tenant=alice', true, { host: '::1', tls: true, tenant: 'alice' }],
    ['tls:h', false, { port: 7471 }],
    ['unix:/a', false, { kind: 'unix', mode: 0o600, tenant: 'local' }],
    ['unix:/a,mode=0660,tenant=b', false, { mode: 0o660, tenant: 'b' }],
    ['vsock-unix:/vm/v:7471,tenant=vm', false, { kind: 'unix', path: '/vm/v_7471', tenant: 'vm' }],
  ] as const)('%s, insecure: %s', (text, insecure, spec) => {
    expect(readListenSpec(text, insecure)).toMatchObject(spec);
  });

  it.each([
    '',
    'unix:',
    'tcp:',
    'tcp:h:99999',
    'tls:h:1,tenant=../x',
    'unix:/a,mode=9',
    'vsock-unix:/v',
    'vsock-unix:/v:4294967295',
    'http:x',
  ])("'%s' is refused", (text) => {
    expect(() => readListenSpec(text, false)).toThrow(/cannot listen on/);
  });

  it('a path that the system would cut is refused, on both sides', () => {
    const path = `/${'a'.repeat(106)}`;
    expect(readListenSpec(`unix:${path}`, false)).toMatchObject({ path });
    expect(readEndpoint(new URL(`axle+unix:${path}`))).toMatchObject({ path });
    expect(() => readListenSpec(`unix:${path}b`, false)).toThrow(/at most 107 bytes/);
    expect(() => readEndpoint(new URL(`axle+unix:${path}b`))).toThrow(/at most 107 bytes/);
  });
});

describe('a log that peers fill', () => {
  it('says so much in a while, and then how much it left out', () => {
    let now = 0;
    const lines: string[] = [];
    const log = new LimitedLog(
      (line) => lines.push(line),
      () => now,
    );
    for (let i = 0; i < 1000; i++) log.add(`line ${i}`);
    expect(lines.length).toBe(20);
    now = 10_000;
    log.add('later');
    expect(lines.slice(20)).toEqual(['980 more lines like these were left out', 'later']);
  });
});
