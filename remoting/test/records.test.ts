import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { AuditLog } from '../src/log/audit-log.js';
import { RotatingFile } from '../src/log/rotating-file.js';
import { UsageCounts, usageEntriesMax } from '../src/usage/usage-counts.js';
import { UsageLog } from '../src/usage/usage-log.js';

const never = 1_000_000;
let folder = '';
const troubles: string[] = [];
const onTrouble = (what: string) => {
  troubles.push(what);
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'axle-records-'));
  troubles.length = 0;
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function linesOf(path: string): Promise<unknown[]> {
  const text = await readFile(path, 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

describe('a file of lines that is bounded', () => {
  it('is put aside when it is full, and only so many are kept', async () => {
    const path = join(folder, 'lines');
    const file = new RotatingFile({ path, bytesMax: 100, filesMax: 3, onTrouble });
    for (let i = 0; i < 50; i++) {
      file.add(`line ${String(i).padStart(2, '0')}`);
      await file.flush();
    }
    expect((await readdir(folder)).sort()).toEqual(['lines', 'lines.1', 'lines.2']);
    for (const name of await readdir(folder)) {
      const { size, mode } = await stat(join(folder, name));
      expect(size).toBeLessThanOrEqual(100);
      expect(mode & 0o777).toBe(0o600);
    }
    const kept = [2, 1].map((i) => readFile(`${path}.${i}`, 'utf8'));
    const text = (await Promise.all([...kept, readFile(path, 'utf8')])).join('');
    const last = Array.from({ length: 50 }, (_, i) => `line ${String(i).padStart(2, '0')}\n`);
    expect(last.join('').endsWith(text)).toBe(true);
    expect(text.length).toBeGreaterThan(200);
  });

  it('goes on where it was, after a restart', async () => {
    const path = join(folder, 'lines');
    for (let i = 0; i < 12; i++) {
      const file = new RotatingFile({ path, bytesMax: 64, filesMax: 2, onTrouble });
      file.add('a line of twenty bytes');
      await file.flush();
    }
    expect((await stat(path)).size).toBeLessThanOrEqual(64);
    expect((await stat(`${path}.1`)).size).toBeLessThanOrEqual(64);
  });

  it('keeps lines that the disk does not take, and says so once', async () => {
    const path = join(folder, 'not there', 'lines');
    const file = new RotatingFile({ path, onTrouble });
    file.add('first');
    await file.flush();
    file.add('second');
    await file.flush();
    expect(troubles).toEqual([expect.stringMatching(/lines cannot be written: ENOENT/)]);
    const { mkdir } = await import('node:fs/promises');
    await mkdir(join(folder, 'not there'));
    await file.flush();
    expect(await readFile(path, 'utf8')).toBe('first\nsecond\n');
    expect(troubles[1]).toMatch(/is written again$/);
  });
});

describe('what tenants used', () => {
  const use = (tenant: string, deviceMs: number, model?: string) => ({
    ...{ tenant, op: 'infer', model, device: 'gpu:0', deviceMs },
  });

  it('is a line for each tenant, model and device, for the time since the last', async () => {
    const path = join(folder, 'usage');
    let now = new Date('2026-01-01T00:00:00Z');
    const log = new UsageLog({ path, onTrouble }, () => now, never);
    log.add(use('alice', 10, 'm'));
    log.add(use('alice', 2.5, 'm'));
    log.add(use('bob', 1));
    now = new Date('2026-01-01T00:00:10Z');
    await log.close();
    const times = { from: '2026-01-01T00:00:00.000Z', to: '2026-01-01T00:00:10.000Z' };
    expect(await linesOf(path)).toEqual([
      { ...times, tenant: 'alice', model: 'm', device: 'gpu:0', tasks: 2, deviceMs: 12.5 },
      { ...times, tenant: 'bob', model: '[infer]', device: 'gpu:0', tasks: 1, deviceMs: 1 },
    ]);
  });

  it('is added up past so many that are told apart, and none of it is lost', () => {
    const counts = new UsageCounts();
    for (let i = 0; i < usageEntriesMax + 100; i++) counts.add(use(`t${i}`, 1));
    const all = [...counts.all];
    expect(all.length).toBe(usageEntriesMax + 1);
    expect(all.reduce((sum, { deviceMs }) => sum + deviceMs, 0)).toBe(usageEntriesMax + 100);
  });
});

describe('an audit log', () => {
  it('has a line for each event, and one for many refusals of a kind', async () => {
    const path = join(folder, 'audit');
    const now = new Date('2026-01-01T00:00:00Z');
    const log = new AuditLog({ path, onTrouble }, () => now, never);
    log.add('connected', { tenant: 'alice', connection: 1 });
    for (let i = 0; i < 150; i++) log.refused({ peer: `p${i}`, reason: 'no token' });
    for (let i = 0; i < 7; i++) log.refusedCall('bob', 'RESOURCE_EXHAUSTED', 'too many');
    await log.close();
    const lines = (await linesOf(path)) as Record<string, unknown>[];
    expect(lines[0]).toEqual({
      time: now.toISOString(),
      ...{ event: 'connected', tenant: 'alice', connection: 1 },
    });
    expect(lines.filter(({ peer }) => peer !== undefined)).toHaveLength(100);
    expect(lines.slice(-2)).toMatchObject([
      { event: 'refused', more: 50 },
      { event: 'calls refused', tenant: 'bob', code: 'RESOURCE_EXHAUSTED', count: 7 },
    ]);
  });
});
