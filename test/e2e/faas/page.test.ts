import { spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { shippedModels } from 'axle';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { axlePath, folder } from '../serve.js';
import { startFaas } from './start-faas.js';

const state = join(folder, 'state');
const passwordFile = join(state, 'password');
const examples = new URL('../../../faas/examples/', import.meta.url);
const sample = `${shippedModels}/samples/A.png`;
const hasBrowser = spawnSync('chromium', ['--version']).status === 0;
/** Without them it looks for servers of its maker. */
const browserArgs = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage'],
];
/** Tries what the page may. */
const intruderHandler = `
const page = \`<p></p><script>
  const say = (text) => document.body.append(Object.assign(document.createElement('p'), { textContent: text }));
  say('the script has run: ' + origin);
  fetch('/system/functions', { credentials: 'include' }).then(
    async (response) => say('the functions: ' + (await response.text())),
    (error) => say('the functions: ' + error.name),
  );
</script>\`;
export default () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: page });
`;
let frontEnd: ChildProcess;
let url = '';
let browser: Browser;

function axle(...args: readonly string[]): void {
  const access = ['--gateway', url, '--password-file', passwordFile];
  const { status, stderr } = spawnSync(process.execPath, [axlePath, ...args, ...access]);
  expect(status, String(stderr)).toBe(0);
}

beforeAll(async () => {
  if (!hasBrowser) return;
  const started = await startFaas(['--metrics', 'none', '--state', state], {
    environment: { TMPDIR: folder },
  });
  ({ url, process: frontEnd } = started);
  for (const name of ['classify-image', 'compress-log']) {
    axle('function', 'push', new URL(name, examples).pathname);
    axle('function', 'deploy', name);
  }
  const intruder = join(folder, 'intruder');
  mkdirSync(intruder);
  const manifest = JSON.stringify({ name: 'intruder', handler: 'handler.mjs' });
  writeFileSync(join(intruder, 'axle-function.json'), manifest);
  writeFileSync(join(intruder, 'handler.mjs'), intruderHandler);
  axle('function', 'push', intruder);
  axle('function', 'deploy', 'intruder');
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: browserArgs });
});
afterAll(async () => {
  if (!hasBrowser) return;
  await browser.close();
  frontEnd.kill('SIGKILL');
});

/** The page, with what the console says of it. */
async function open(options: BrowserContextOptions = {}): Promise<{ page: Page; said: string[] }> {
  const password = readFileSync(passwordFile, 'utf8').trim();
  const context = await browser.newContext({
    httpCredentials: { username: 'admin', password },
    ...options,
  });
  const page = await context.newPage();
  const said: string[] = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', ({ message }) => said.push(message));
  await page.goto(`${url}/ui`);
  await page.getByText('Live').waitFor();
  return { page, said };
}

/** Drops a file on the page, as a hand does. */
async function drop(page: Page, path: string, name: string, type: string): Promise<void> {
  const text = readFileSync(path).toString('base64');
  // As text: the tests know no types of browsers.
  const transfer = await page.evaluateHandle(`(() => {
    const bytes = Uint8Array.from(atob('${text}'), (letter) => letter.charCodeAt(0));
    const dropped = new DataTransfer();
    dropped.items.add(new File([bytes], '${name}', { type: '${type}' }));
    return dropped;
  })()`);
  await page.dispatchEvent('#drop', 'drop', { dataTransfer: transfer });
}

describe.skipIf(!hasBrowser)('the page at /ui (needs chromium)', () => {
  it('tells what is on an image that is dropped, on which device, and where the time went', async () => {
    const { page, said } = await open();
    await drop(page, sample, 'A.png', 'image/png');
    const result = page.locator('#result');
    await result.getByText('classify-image answered 200').waitFor();
    expect(await result.innerText()).toMatch(
      /answered 200 in [\d.]+ ms on remote\/cpu-fallback:0\s+Queue [\d.]+ ms\s+Transfer [\d.]+ ms\s+Compute [\d.]+ ms\s+Function and network [\d.]+ ms\s+A 9\d(\.\d+)? %/,
    );
    const bars = await page.evaluate<number[]>(
      "[...document.querySelectorAll('.timeline div')].map((bar) => bar.getBoundingClientRect().width)",
    );
    expect(bars).toHaveLength(4);
    expect(Math.min(...bars)).toBeGreaterThan(0);
    const row = page.getByRole('row', { name: /^classify-image/ });
    await row.getByRole('cell', { name: '1', exact: true }).first().waitFor();
    await page.getByRole('row', { name: /^glyphs:1/ }).waitFor();
    await page.getByRole('row', { name: /^cpu-fallback:0 OK/ }).waitFor();
    expect((await page.screenshot()).byteLength).toBeGreaterThan(3000);
    expect(said).toEqual([]);
  });

  it('works by keys, on a small dark screen, and says what a file became', async () => {
    const { page, said } = await open({
      colorScheme: 'dark',
      viewport: { width: 360, height: 640 },
    });
    await page.getByLabel('Function', { exact: true }).focus();
    await page.keyboard.press('Tab');
    // What Enter opens there is the browser's own.
    expect(await page.evaluate('document.activeElement.id')).toBe('file');
    await page.setInputFiles('#file', passwordFile);
    await page
      .locator('#result')
      .getByText(/compress-log answered 200/)
      .waitFor();
    await page.getByText(/3\d bytes became \d+ bytes/).waitFor();
    const beyond = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate(beyond)).toBe(0);
    const paper = 'getComputedStyle(document.body).backgroundColor';
    expect(await page.evaluate(paper)).toBe('rgb(22, 24, 27)');
    expect(said).toEqual([]);
  });

  it('shares nothing with what a function shows to who has the password', async () => {
    const { page } = await open();
    // The page itself may.
    const asks = "fetch('/system/functions').then((response) => response.status)";
    expect(await page.evaluate(asks)).toBe(200);
    const answer = await page.goto(`${url}/function/intruder`);
    expect(answer?.headers()['content-security-policy']).toMatch(/^sandbox /);
    await page.getByText('the script has run: null').waitFor();
    await page.getByText('the functions: TypeError').waitFor();
  });

  it('is for whoever has the password, and for no page of another site', async () => {
    const password = readFileSync(passwordFile, 'utf8').trim();
    const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
    const status = async (path: string, headers: Record<string, string>, method = 'GET') =>
      (await fetch(`${url}${path}`, { method, headers })).status;
    expect(await status('/ui', {})).toBe(401);
    expect(await status('/ui/state', { authorization })).toBe(200);
    expect(await status('/ui/state', { authorization, 'sec-fetch-site': 'cross-site' })).toBe(403);
    const origin = 'https://elsewhere.example';
    expect(await status('/system/functions', { authorization, origin }, 'DELETE')).toBe(403);
    expect(await status('/ui/../state', { authorization })).toBe(404);
    expect(await status('/ui/%2e%2e/package.json', { authorization })).toBe(404);
    const page = await fetch(`${url}/ui`, { headers: { authorization } });
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  });
});
