import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { kill, open as connectTo, socketOf, startPool } from '../pool-kit.js';
import { bytesOf, folder, serveUnix } from '../serve.js';
import { startFaas } from './start-faas.js';

const state = join(folder, 'pool-page');
const passwordFile = join(state, 'password');
const sample = fileURLToPath(new URL('../../../axle/models/samples/A.png', import.meta.url));
const hasBrowser = spawnSync('chromium', ['--version']).status === 0;
/** Without them it looks for servers of its maker. */
const browserArgs = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage'],
];
/** Where screenshots are kept, to be looked at; undefined: nowhere. */
const shots = process.env['AXLE_TEST_SHOTS'];
let url = '';
let browser: Browser;
let stop: () => void = () => undefined;

beforeAll(async () => {
  if (!hasBrowser) return;
  const lost = await serveUnix('paged1.sock');
  await Promise.all([serveUnix('paged2.sock'), serveUnix('paged3.sock')]);
  const file = join(folder, 'paged');
  const [first, second, third] = ['paged1', 'paged2', 'paged3'].map(socketOf);
  writeFileSync(file, `${first}\n${second}\n${third}\n`);
  const metrics = `unix:${join(folder, 'paged-metrics.sock')}`;
  await startPool('paged', file, '--metrics', metrics);
  const client = await connectTo(socketOf('paged'));
  await client.classify(readFileSync(sample), { model: 'glyphs' });
  await client.compress(Array.from({ length: 60 }, () => bytesOf(1000)));
  // One that is drained, and one that is lost.
  writeFileSync(file, `${first}\n${second} drain\n${third}\n`);
  await kill(lost);
  await client.compress(Array.from({ length: 20 }, () => bytesOf(1000)));
  mkdirSync(state, { recursive: true });
  const pool = ['--pool', socketOf('paged'), '--pool-metrics', `http+${metrics}`];
  const started = await startFaas(['--metrics', 'none', '--state', state, ...pool], {
    environment: { TMPDIR: folder },
  });
  ({ url } = started);
  stop = () => {
    started.process.kill('SIGKILL');
  };
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: browserArgs });
});

afterAll(async () => {
  if (!hasBrowser) return;
  await browser.close();
  stop();
});

/** The page, with what the console says of it. */
async function open(options: BrowserContextOptions): Promise<{ page: Page; said: string[] }> {
  const password = readFileSync(passwordFile, 'utf8').trim();
  const httpCredentials = { username: 'admin', password };
  const context = await browser.newContext({ httpCredentials, ...options });
  const page = await context.newPage();
  const said: string[] = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', ({ message }) => said.push(message));
  await page.goto(`${url}/ui`);
  await page.getByText('Live').waitFor();
  return { page, said };
}

/** What is read in the pool's part of the page: each table by its first title, its other titles, and its rows. */
async function tablesOf(
  page: Page,
): Promise<Record<string, { titles: string[]; rows: string[][] }>> {
  return page.evaluate(`(() => {
    const textsOf = (row) => [...row.cells].map((cell) => cell.innerText);
    return Object.fromEntries([...document.querySelectorAll('#pool table')].map((table) => {
      const [head, ...rows] = [...table.rows].map(textsOf);
      return [head[0], { titles: head.slice(1), rows }];
    }));
  })()`);
}

/** How much text and ground differ, by WCAG 2; the least of all cells. */
const leastContrast = `(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (color) => {
    const [r, g, b] = numbers(color).map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const groundOf = (each) => {
    for (let at = each; at !== null; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if (!/, 0\\)$|transparent/.test(backgroundColor)) return backgroundColor;
    }
    return 'rgb(255, 255, 255)';
  };
  return Math.min(...[...document.querySelectorAll('#pool th, #pool td')].map((cell) => {
    const [a, b] = [light(getComputedStyle(cell).color), light(groundOf(cell))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }));
})()`;
const beyond = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';

const looks = [
  { look: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { look: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { look: 'small and light', colorScheme: 'light', viewport: { width: 360, height: 640 } },
  { look: 'small and dark', colorScheme: 'dark', viewport: { width: 360, height: 640 } },
] as const;

describe.skipIf(!hasBrowser)('the pool on the page at /ui (needs chromium)', () => {
  it.each(looks)(
    'shows servers, devices, models, tenants, queues and moves ($look)',
    async ({ look, colorScheme, viewport }) => {
      const { page, said } = await open({ colorScheme, viewport });
      const pool = page.locator('#pool');
      await pool.getByRole('row', { name: /^paged1 lost/ }).waitFor();
      await pool.getByRole('row', { name: /^paged2 drained/ }).waitFor();
      await pool.getByRole('row', { name: /^paged3 up/ }).waitFor();
      const tables = await tablesOf(page);
      expect(Object.keys(tables)).toEqual([
        'Server',
        'Device of a server',
        'Moved from',
        'Device',
        'Model',
        'Tenant',
      ]);
      const { Server: servers, Device: devices, Model: models, Tenant: tenants } = tables;
      expect(servers?.titles).toEqual(['State', 'Tasks', 'Tasks/s', 'Passed over']);
      const ofServers = tables['Device of a server'];
      expect(ofServers?.titles).toEqual(['Tasks', 'Wait', 'Tasks/s']);
      expect(ofServers?.rows.map(([device]) => device)).toEqual(
        expect.arrayContaining(['paged1/cpu-fallback:0', 'paged3/cpu-fallback:0']),
      );
      const moved = tables['Moved from']?.rows.map(([server, why]) => `${server} ${why}`);
      expect(moved).toEqual(expect.arrayContaining(['paged1 loss', 'paged2 drain']));
      expect(tables['Moved from']?.titles.at(-1)).toBe('Longest pause');
      // Queues: what waits or runs, and for how long a new one would wait.
      expect(devices?.titles).toEqual(['Health', 'Tasks', 'Wait', 'Tasks/s', 'Batch size']);
      expect(devices?.rows.map(([device]) => device)).toContain('pool/cpu-fallback');
      expect(models?.rows.map(([model]) => model)).toContain('glyphs:1');
      expect(tenants?.rows.length).toBeGreaterThan(0);
      // Wide tables move in their own part, by keys too, and not the page.
      expect(await page.evaluate(beyond)).toBe(0);
      await pool.focus();
      expect(await page.evaluate('document.activeElement.id')).toBe('pool');
      expect(await page.evaluate<number>(leastContrast)).toBeGreaterThan(4.5);
      const shot = await page.screenshot({
        fullPage: true,
        ...(shots !== undefined && { path: join(shots, `pool ${look}.png`) }),
      });
      expect(shot.byteLength).toBeGreaterThan(10_000);
      expect(said).toEqual([]);
    },
  );
});
