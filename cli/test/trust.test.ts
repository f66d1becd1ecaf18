import type { ChildProcess } from 'node:child_process';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

import { afterEach, describe, expect, it } from 'vitest';

import { runCli, startCli, temporaryFolder } from './run-cli.js';

const servers: ChildProcess[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.kill('SIGKILL');
});

/** `axle serve` as soon as it listens, and what it says on stderr. */
async function serve(cwd: string, ...args: string[]): Promise<[string, Lines, ChildProcess]> {
  const child = startCli(['serve', ...args], { cwd });
  servers.push(child);
  const errors = new Lines(createInterface(child.stderr as NodeJS.ReadableStream));
  const out = new Lines(createInterface(child.stdout as NodeJS.ReadableStream));
  const line = await out.waitFor(/listening on/);
  return [line.replace('listening on ', ''), errors, child];
}

class Lines {
  private readonly all: string[] = [];
  private heard: (() => void) | undefined;

  constructor(source: Interface) {
    source.on('line', (line) => {
      this.all.push(line);
      this.heard?.();
    });
  }

  async waitFor(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.all.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.heard = resolve;
      });
    }
  }
}

describe('axle token', () => {
  it('shows a token once and alone, lists it without, and revokes it', async () => {
    const cwd = temporaryFolder();
    const env = { AXLE_TOKENS: 'tokens.jsonl' };
    const args = ['token', 'create', '--tenant', 'alice', '--note', 'her laptop'];
    const { code, stdout, stderr } = await runCli(args, { cwd, env });
    expect(code).toBe(0);
    const token = stdout.toString();
    expect(token).toMatch(/^axle_[0-9a-f]{16}_[\w-]{43}\n$/);
    const [, id = '', secret = ''] = /^axle_([^_]+)_(.+)\n$/.exec(token) ?? [];
    expect(stderr).toMatch(new RegExp(`token ${id} of alice is good until 20`));
    expect(stderr).not.toContain(secret);
    const path = join(cwd, 'tokens.jsonl');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).not.toContain(secret);

    const listed = await runCli(['token', 'list', '--json'], { cwd, env });
    expect(JSON.parse(listed.stdout.toString())).toMatchObject([
      { id, tenant: 'alice', state: 'valid', note: 'her laptop' },
    ]);
    expect((await runCli(['token', 'revoke', id], { cwd, env })).code).toBe(0);
    const after = await runCli(['token', 'list'], { cwd, env });
    expect(after.stdout.toString()).toMatch(new RegExp(`${id} +alice +revoked`));
    const unknown = await runCli(['token', 'revoke', 'x'], { cwd, env });
    expect(unknown).toMatchObject({ code: 1 });
    expect(unknown.stderr).toMatch(/no token x in tokens\.jsonl/);
  });

  it('loses none of those that are made at the same time', async () => {
    const cwd = temporaryFolder();
    const args = ['token', 'create', '--tenant', 'a', '--tokens', 't', '--json'];
    const results = await Promise.all(Array.from({ length: 4 }, () => runCli(args, { cwd })));
    const made = results.map(({ stdout }) => (JSON.parse(stdout.toString()) as { id: string }).id);
    const lines = readFileSync(join(cwd, 't'), 'utf8').trim().split('\n');
    const kept = lines.map((line) => (JSON.parse(line) as { id: string }).id);
    expect(kept.sort()).toEqual(made.sort());
  });

  it.each([
    [['--tenant', 'a b'], /no name of a tenant/],
    [['--tenant', 'a', '--expires', 'soon'], /30d or 12h, or never/],
  ])('create %j is refused', async (args, message) => {
    const cwd = temporaryFolder();
    const { code, stderr } = await runCli(['token', 'create', '--tokens', 't', ...args], { cwd });
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

describe('axle ca dev', () => {
  it('makes no other CA over half of one', async () => {
    const cwd = temporaryFolder();
    const make = () => runCli(['ca', 'dev', 'pki'], { cwd });
    expect(await make()).toMatchObject({ code: 0 });
    const certificate = readFileSync(join(cwd, 'pki/ca.crt'), 'utf8');
    rmSync(join(cwd, 'pki/ca.key'));
    const { code, stderr } = await make();
    expect(code).toBe(1);
    expect(stderr).toMatch(/ca\.crt without its ca\.key/);
    expect(readFileSync(join(cwd, 'pki/ca.crt'), 'utf8')).toBe(certificate);
  });
});

describe('axle model push', () => {
  it('finds the models that come with Axle', async () => {
    const cwd = temporaryFolder();
    const [endpoint] = await serve(cwd, '--listen', `unix:${join(cwd, 's.sock')}`, '--in-process');
    const pushed = await runCli(['model', 'push', 'mlp', '--name', 'mine', '--on', endpoint]);
    expect(pushed.stderr).toBe('');
    expect(pushed.stdout.toString()).toMatch(/^mine:1, /);
  });
});

describe('axle serve', () => {
  it('does not start on TCP without TLS, unless told that it may', async () => {
    const { code, stderr } = await runCli(['serve', '--listen', 'tcp:127.0.0.1:0']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^axle: [^\n]*without TLS[^\n]*--tls-cert[^\n]*--insecure[^\n]*\n$/);
  });

  it('says that there is no folder for its socket', async () => {
    const listen = ['--listen', 'unix:/nowhere/at/all.sock', '--in-process'];
    const { code, stderr } = await runCli(['serve', ...listen]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/there is no folder \/nowhere\/at; make it first/);
  });

  it.each([
    [['--store', '/proc/none'], /cannot use \/proc\/none as --store: .*no such file/],
    [['--models', '/nowhere/at/all'], /\/nowhere\/at\/all \(of --models.*no such file/],
  ])('does not start with a folder that cannot be: %j', async (args, message) => {
    const listen = ['--listen', `unix:${join(temporaryFolder(), 's.sock')}`, '--in-process'];
    const { code, stderr } = await runCli(['serve', ...listen, ...args]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it('serves tenants over TLS, and takes changes on SIGHUP and without it', async () => {
    const cwd = temporaryFolder();
    const made = await runCli(['ca', 'dev', 'pki', '--client', 'alice'], { cwd });
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const more = await runCli(['ca', 'dev', 'pki', '--client', 'carol', '--json'], { cwd });
    expect(JSON.parse(String(more.stdout))).toEqual({
      files: ['pki/client-carol.key', 'pki/client-carol.crt'],
    });
    expect(statSync(join(cwd, 'pki/ca.key')).mode & 0o777).toBe(0o600);
    const tokenArgs = ['token', 'create', '--tenant', 'bob', '--tokens', 'tokens'];
    const token = (await runCli(tokenArgs, { cwd })).stdout.toString().trim();
    const config = {
      listen: ['tls:127.0.0.1:0'],
      tls: { certificate: 'pki/server.crt', key: 'pki/server.key', clientCa: 'pki/ca.crt' },
      tokens: 'tokens',
      tenants: {},
    };
    const write = (changes: object) => {
      writeFileSync(join(cwd, 'axle.json'), JSON.stringify({ ...config, ...changes }));
    };
    write({});
    const [endpoint, errors, child] = await serve(cwd, '--config', 'axle.json');
    expect(endpoint).toMatch(/^axle\+tls:/);
    const ca = { AXLE_ENDPOINT: endpoint, AXLE_TLS_CA: 'pki/ca.crt' };
    const alice = {
      ...ca,
      AXLE_TLS_CERT: 'pki/client-alice.crt',
      AXLE_TLS_KEY: 'pki/client-alice.key',
    };
    const devices = (env: NodeJS.ProcessEnv) => runCli(['devices'], { cwd, env });
    const [hers, his, nobodys] = await Promise.all([
      devices(alice),
      devices({ ...ca, AXLE_TOKEN: token }),
      devices(ca),
    ]);
    expect(hers.stdout.toString()).toContain('remote/cpu-fallback:0');
    expect(his.stdout.toString()).toContain('remote/cpu-fallback:0');
    expect(nobodys.code).toBe(1);
    expect(nobodys.stderr).toMatch(/does not know these credentials.*AXLE_TOKEN/);

    write({ tenants: { bob: { disabled: true } } });
    child.kill('SIGHUP');
    await errors.waitFor(/are in force/);
    expect((await devices({ ...ca, AXLE_TOKEN: token })).code).toBe(1);
    write({ tenants: { bob: { enabled: true } } });
    await errors.waitFor(/stay as they were: .*'enabled' means nothing/);
  });
});
