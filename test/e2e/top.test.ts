import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { connect, shippedModels, type Client } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { sampleOf } from './doors/prometheus-text.js';
import { RestClient } from './doors/rest-door.js';
import { axlePath, folder, serveUnix, type RunningServer } from './serve.js';

const sequences = /ESC\[[?\d]*[A-Za-z]/g;
const metricsUrl = `http+unix:${join(folder, 'metrics.sock')}`;
const othersUrl = `http+unix:${join(folder, 'others.sock')}`;
let server: RunningServer;
let client: Client;

beforeAll(async () => {
  const places = [metricsUrl, `${othersUrl},tenant=alice`].map((url) => url.replace('http+', ''));
  const options = places.flatMap((place) => ['--metrics', place]);
  server = await serveUnix('wire.sock', ...options);
  client = await connect(server.endpoint);
});
afterAll(() => client.close());

function top(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [axlePath, 'top', ...args], { stdio: 'pipe' });
}

/** What it prints, as far as it printed, with the escapes of terminals spelled out. */
function outputOf({ stdout }: ChildProcess): {
  text: string;
  until(pattern: RegExp): Promise<void>;
} {
  const output = {
    text: '',
    async until(pattern: RegExp) {
      while (!pattern.test(output.text)) {
        await once(stdout as NonNullable<typeof stdout>, 'data');
      }
    },
  };
  stdout?.on('data', (chunk: Buffer) => {
    output.text += String(chunk).replaceAll('\u001b', 'ESC');
  });
  return output;
}

async function endOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}

describe('axle top', () => {
  it('prints one sample in JSON', async () => {
    const child = top(metricsUrl, '--json', '--interval', '0.5');
    const output = outputOf(child);
    const ended = endOf(child);
    let over = false;
    void ended.then(() => (over = true));
    while (!over) await client.classify(`${shippedModels}/samples/A.png`);
    expect(await ended).toBe(0);
    const sample = JSON.parse(output.text) as unknown;
    expect(sample).toMatchObject({
      devices: expect.arrayContaining([
        expect.objectContaining({ device: 'cpu-fallback:0', health: 'OK', emulated: false }),
      ]) as unknown,
      models: [{ model: 'glyphs', version: '1', failuresPerSecond: 0, batchSize: 1 }],
      ops: [{ op: 'classify', failuresPerSecond: 0 }],
      tenants: expect.arrayContaining([
        expect.objectContaining({ tenant: 'local', callsPerSecond: expect.any(Number) as number }),
      ]) as unknown,
      wire: { connections: 1 },
      hostRestarts: { 'cpu-fallback': 0 },
    });
    const { models, ops } = sample as {
      models: { requestsPerSecond: number; latencyMs: number }[];
      ops: { p50Ms: number; p99Ms: number }[];
    };
    expect(models[0]?.requestsPerSecond).toBeGreaterThan(0);
    expect(models[0]?.latencyMs).toBeGreaterThan(0);
    expect(ops[0]?.p50Ms).toBeGreaterThan(0);
    expect(ops[0]?.p99Ms).toBeGreaterThanOrEqual(ops[0]?.p50Ms ?? Infinity);
  });

  it('prints one sample after another where there is no terminal, until it is stopped', async () => {
    const child = top(metricsUrl, '--interval', '0.1');
    const output = outputOf(child);
    await output.until(/DEVICE[^]*cpu-fallback:0 +OK[^]*DEVICE/);
    child.kill('SIGINT');
    expect(await endOf(child)).toBe(0);
    expect(output.text).not.toContain('ESC');
  });

  it.skipIf(spawnSync('script', ['--version']).status !== 0)(
    'draws on a terminal, and leaves it as it was (needs script of util-linux)',
    async () => {
      // In the shell's place: one that stays, as some do, would itself end of the Ctrl-C.
      const command = ['exec', process.execPath, axlePath, 'top', metricsUrl, '--interval', '0.1'];
      const child = spawn(
        'script',
        ['-qfec', `stty cols 50 rows 9; ${command.join(' ')}`, '/dev/null'],
        { stdio: 'pipe', env: { ...process.env, TERM: 'xterm' } },
      );
      const output = outputOf(child);
      await output.until(/ESC\[H[^]*DEVICE[^]*more lines[^]*ESC\[H/);
      child.stdin.write('\u0003');
      expect(await endOf(child)).toBe(0);
      expect(output.text).toMatch(/^[^]*ESC\[\?1049hESC\[\?25l[^]*ESC\[\?25hESC\[\?1049l/);
      const lines = output.text.split(/\r\n|ESC\[H/).map((line) => line.replace(sequences, ''));
      expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(50);
    },
  );

  it.each([
    [othersUrl, 1, /answers 403: tenant alice may not read the metrics/],
    [`http+unix:${join(folder, 'nobody.sock')}`, 1, /cannot read .* start a server/],
    ['axle+unix:/run/axle.sock', 2, /no URL of metrics/],
  ])('says why it has nothing to show of %s', async (url, code, message) => {
    const child = top(url);
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => (said += String(chunk)));
    expect(await endOf(child)).toBe(code);
    expect(said).toMatch(message);
  });

  it('has how often a device host was started again', async () => {
    const rest = new RestClient(metricsUrl);
    const pid = server.process.pid ?? 0;
    const [host] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    process.kill(Number(host), 'SIGKILL');
    const restarts = async () =>
      sampleOf(
        String((await rest.send('GET', '/metrics')).body),
        'axle_host_restarts_total{host="cpu-fallback"}',
      );
    while ((await restarts()) === 0);
    expect(await restarts()).toBe(1);
    rest.close();
  });
});
