import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { axlePath } from '../serve.js';
import { GateClient } from './gate-client.js';
import { startFaas, type RunningFrontEnd } from './start-faas.js';

const place = mkdtempSync(join(tmpdir(), 'axle-faas-e2e-'));
const state = join(place, 'state');
const passwordFile = join(state, 'password');

let running: RunningFrontEnd;
let gate: GateClient;

const start = (): Promise<RunningFrontEnd> =>
  startFaas(['--metrics', 'none', '--state', state], { environment: { TMPDIR: place } });

async function axle(args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [axlePath, 'function', ...args], {
    cwd: place,
    env: {
      ...process.env,
      AXLE_DEBUG: '',
      AXLE_GATEWAY: running.url,
      AXLE_GATEWAY_PASSWORD_FILE: passwordFile,
      ...env,
    },
  });
  child.stdin.on('error', () => undefined).end(input);
  const texts = Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = (await once(child, 'close')) as [number | null];
  const [stdout, stderr] = await texts;
  return { code, stdout, stderr };
}

beforeAll(async () => {
  running = await start();
  const password = readFileSync(passwordFile, 'utf8').trim();
  const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
  gate = new GateClient(() => running.url, authorization);
});
afterAll(() => {
  running.process.kill('SIGKILL');
  rmSync(place, { recursive: true, force: true });
});

describe('axle faas', () => {
  it('says where it listens and where its password is, which only a terminal gets to see', () => {
    const password = readFileSync(passwordFile, 'utf8').trim();
    expect(password).toMatch(/^[\w-]{32}$/);
    expect(running.said).toEqual([
      expect.stringMatching(/^listening on http:\/\/127.0.0.1:\d+$/),
      expect.stringMatching(/^page at http:\/\/127.0.0.1:\d+\/ui$/),
      `user admin, password in ${passwordFile}`,
      expect.stringContaining('axle function push hello'),
    ]);
  });

  it('runs a function of one minute, from its template to its log', async () => {
    expect(await axle(['new', 'hello'])).toMatchObject({
      code: 0,
      stdout: 'hello/axle-function.json\nhello/handler.mjs\n',
    });
    expect(await axle(['push', 'hello'])).toMatchObject({ code: 0, stdout: 'hello:latest\n' });
    expect(await axle(['deploy', 'hello'])).toMatchObject({
      code: 0,
      stdout: `${running.url}/function/hello\n`,
    });
    expect(await axle(['invoke', 'hello'], 'you')).toMatchObject({
      code: 0,
      stdout: 'hello, you\n',
    });
    const { stdout } = await axle(['list', '--json']);
    expect(JSON.parse(stdout)).toMatchObject([{ name: 'hello', invocationCount: 1 }]);
    expect((await axle(['logs', 'hello'])).stdout).toMatch(/^\S+Z hello\.1\.1 greeting you\n$/);
  });

  it('gives functions the devices of this machine', async () => {
    await gate.deploy(
      'pool',
      `export default async (event, { axle }) => {
        const { data } = await axle.compress(await event.bytes(), { codec: 'gzip' });
        return data;
      }`,
    );
    const answer = await fetch(`${running.url}/function/pool`, { method: 'POST', body: 'squeeze' });
    const [first, second] = new Uint8Array(await answer.arrayBuffer());
    expect([answer.status, first, second]).toEqual([200, 0x1f, 0x8b]);
  });

  it('runs programs, which know nothing of it', async () => {
    await axle(['new', 'upper', '--template', 'executable']);
    const read = (path: string) => readFileSync(join(place, 'upper', path), 'utf8');
    const files = { 'axle-function.json': read('axle-function.json'), 'run.sh': read('run.sh') };
    await gate.deploy('upper', files);
    expect(await gate.ask('POST', '/function/upper', { body: 'abc' })).toMatchObject({
      status: 200,
      text: 'ABC',
    });
  });

  it('tells whoever deploys what does not start, and of an older version that serves on', async () => {
    const write = (handler: string): void => {
      writeFileSync(join(place, 'fragile', 'handler.mjs'), handler);
    };
    await axle(['new', 'fragile']);
    await axle(['push', 'fragile']);
    const toZero = [
      '--label',
      'com.openfaas.scale.zero=true',
      '--label',
      'com.openfaas.scale.min=0',
    ];
    const deploy = (...args: readonly string[]) => axle(['deploy', 'fragile', ...args]);
    expect(await deploy()).toMatchObject({ code: 0 });
    write('import "nowhere"; export default () => 1;');
    await axle(['push', 'fragile']);
    const unable =
      /^axle: fragile is deployed and does not start: the handler handler\.mjs cannot be loaded: /;
    const told = await deploy();
    expect(told).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(unable) as string,
    });
    expect(told.stderr).toContain('what was deployed before serves on');
    expect((await axle(['invoke', 'fragile'], 'you')).stdout).toBe('hello, you\n');
    expect(await deploy('--no-wait')).toMatchObject({ code: 0, stderr: '' });
    await axle(['rm', 'fragile']);
    // Nobody calls it, and it would not be started yet.
    expect(await deploy(...toZero)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(unable) as string,
    });
    write('await new Promise((done) => setTimeout(done, 60_000)); export default () => 1;');
    await axle(['push', 'fragile']);
    expect(await deploy('--wait', '1')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no instance of it was ready within 1 s; see axle') as string,
    });
    await axle(['rm', 'fragile']);
    expect((await deploy('--wait', '0')).code).toBe(2);
  });

  it('tells of no older version where there is none, also while another instance starts', async () => {
    await axle(['new', 'first']);
    // One of two starts for ever, and the other one fails.
    const handler = `import { mkdirSync } from 'node:fs';
      let isOne = true;
      try { mkdirSync(process.env.ONE); } catch { isOne = false; }
      if (!isOne) throw new Error('no');
      await new Promise((done) => setTimeout(done, 60_000));
      export default () => 1;`;
    writeFileSync(join(place, 'first', 'handler.mjs'), handler);
    await axle(['push', 'first']);
    const args = ['--label', 'com.openfaas.scale.min=2', '--env', `ONE=${join(place, 'one')}`];
    const told = await axle(['deploy', 'first', ...args]);
    expect(told).toMatchObject({ code: 1 });
    expect(told.stderr).toContain('first is deployed and does not start: ');
    expect(told.stderr).not.toContain('serves on');
    await axle(['rm', 'first']);
  });

  it('sends no program that could not be run', async () => {
    await axle(['new', 'tool', '--template', 'executable']);
    chmodSync(join(place, 'tool', 'run.sh'), 0o644);
    expect(await axle(['push', 'tool'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('may not be executed; chmod +x run.sh, and push') as string,
    });
    rmSync(join(place, 'tool', 'run.sh'));
    expect(await axle(['push', 'tool'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('"./run.sh", which is no file of the function') as string,
    });
    expect((await axle(['new', 'My_Tool'])).stderr).toContain("not 'My_Tool'");
  });

  it('says of which version it is', async () => {
    const { text: info } = await gate.system('GET', '/system/info');
    const { version } = JSON.parse(info) as { version: { release: string; sha: string } };
    expect(version.release).toMatch(/^\d+\.\d+\.\d+/);
    const { stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' });
    expect(version.sha).toBe(stdout.trim());
  });

  it('lists what does not start, with the reason', async () => {
    await gate.deploy('unable', 'export default 7');
    const { status } = await gate.ask('GET', '/function/unable');
    expect(status).toBe(502);
    expect(await axle(['list'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^unable +unable:latest +0\//m) as string,
      stderr: expect.stringMatching(
        /^unable does not start as it was deployed last: .* no function as its default export/m,
      ) as string,
    });
    expect(await axle(['invoke', 'unable'])).toMatchObject({ code: 1 });
    await axle(['rm', 'unable']);
  });

  it('says what is wrong and what to do', async () => {
    const wrong = join(place, 'wrong');
    writeFileSync(wrong, 'not the password');
    const both = await axle(['list'], '', { AXLE_GATEWAY_PASSWORD: 'which one' });
    expect(both).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('PASSWORD_FILE are both set') as string,
    });
    const file = ['--password-file', join('state', 'password')];
    expect(await axle(['list', ...file], '', { AXLE_GATEWAY_PASSWORD: 'no' })).toMatchObject({
      code: 0,
    });
    const cases: readonly [readonly string[], string, NodeJS.ProcessEnv?][] = [
      [['list', '--password-file', wrong], 'give the password by --password-file'],
      [['list'], 'start it with axle faas', { AXLE_GATEWAY: 'http://127.0.0.1:1' }],
      [['deploy', 'docker.io/me/x:1'], 'push the folder of the function'],
    ];
    await Promise.all(
      cases.map(async ([args, message, env]) => {
        const { code, stderr } = await axle(args, '', env);
        expect({ code, stderr }).toEqual({
          code: 1,
          stderr: expect.stringContaining(message) as string,
        });
      }),
    );
  });

  it('does what it accepted though it is killed', async () => {
    const told = new Map<string, number>();
    let wake: () => void = () => undefined;
    const receiver: Server = createServer((request, response) => {
      const id = String(request.headers['x-call-id']);
      told.set(id, (told.get(id) ?? 0) + 1);
      response.end(() => wake());
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    const callback = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    await gate.deploy(
      'held',
      `import { existsSync } from 'node:fs';
      export default () => existsSync(process.env.GO) ? 'done' : new Promise(() => {});`,
      { envVars: { GO: join(place, 'go') } },
    );
    const ids = Array.from({ length: 50 }, (_, i) => `call-${i}`);
    await Promise.all(
      ids.map(async (id) => {
        const headers = { 'x-call-id': id, 'x-callback-url': callback };
        const { status } = await gate.ask('POST', '/async-function/held', { headers });
        expect(status).toBe(202);
      }),
    );
    running.process.kill('SIGKILL');
    await once(running.process, 'exit');
    expect(told.size).toBe(0);
    writeFileSync(join(place, 'go'), '');
    running = await start();
    while (told.size < ids.length) await new Promise<void>((resolve) => (wake = resolve));
    expect([...told].sort()).toEqual(ids.map((id) => [id, 1]).sort());
    receiver.close();
  });

  it('ends cleanly when it is told to', async () => {
    running.process.kill('SIGTERM');
    expect(await once(running.process, 'exit')).toEqual([0, null]);
  });
});
