import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Answer } from '../../test/e2e/faas/gate-client.js';
import { TestFrontEnd } from './front-end.js';

let gate: TestFrontEnd;
beforeEach(async () => {
  gate = await TestFrontEnd.start();
});
afterEach(() => gate.close());

interface Status {
  readonly name: string;
  readonly image: string;
  readonly availableReplicas: number;
  readonly failure?: { readonly code: string; readonly message: string; readonly at: string };
}

const jsonOf = <T>({ text }: Answer): T => JSON.parse(text) as T;
const status = async (name: string) =>
  jsonOf<Status>(await gate.system('GET', `/system/function/${name}`));
const inStore = (...path: string[]) => join(gate.place, 'state', 'bundles', ...path);
const update = async (name: string, handler: string, fields: object = {}) => {
  await gate.push(name, handler);
  const deployment = { service: name, image: `${name}:latest`, ...fields };
  return gate.system('PUT', '/system/functions', deployment);
};

describe('a front end', () => {
  it('starts though the bundle of a function is gone, says which, and runs the others', async () => {
    await gate.deploy('broken', 'export default () => "was broken"', {
      labels: { 'com.openfaas.scale.min': '0', 'com.openfaas.scale.zero': 'true' },
    });
    const [list = ''] = await readdir(inStore('bundles'));
    await gate.deploy('sound', 'export default () => "sound"');
    await gate.stop();
    await rename(inStore('bundles', list), join(gate.place, list));
    await gate.open();
    expect((await gate.ask('GET', '/function/sound')).text).toBe('sound');
    const id = list.replace('.json', '');
    const reason = {
      code: 'NOT_FOUND',
      message: `there is no bundle ${id}; push the function again`,
    };
    expect(await status('broken')).toMatchObject({ failure: reason });
    expect(jsonOf<Status[]>(await gate.system('GET', '/system/functions'))).toMatchObject([
      { name: 'broken', failure: reason },
      { name: 'sound' },
    ]);
    expect(jsonOf(await gate.system('GET', '/axle/v1/bundles'))).toMatchObject([
      { name: 'broken', trouble: reason.message },
      { name: 'sound' },
    ]);
    expect(gate.lines.join('\n')).toContain(`the function broken cannot run: ${reason.message}`);
    // Not of who calls, who asked for what is deployed.
    expect((await gate.ask('GET', '/function/broken')).status).toBeGreaterThanOrEqual(500);
    // With its list it is whole again: nothing of it was thrown away meanwhile.
    await rename(join(gate.place, list), inStore('bundles', list));
    await expect
      .poll(async () => (await gate.ask('GET', '/function/broken')).text)
      .toBe('was broken');
    expect(await status('broken')).not.toHaveProperty('failure');
  });

  it('removes what was deployed once, when its last instance is gone', async () => {
    const ids = () => readdir(inStore('bundles'));
    const unpacked = () => readdir(inStore('unpacked'));
    await gate.deploy('moves', 'export default () => "v1"');
    expect((await gate.ask('GET', '/function/moves')).text).toBe('v1');
    const [old] = await ids();
    await update('moves', 'export default () => "v2"');
    await expect.poll(async () => (await gate.ask('GET', '/function/moves')).text).toBe('v2');
    await expect.poll(ids).toHaveLength(1);
    expect(await ids()).not.toContain(old);
    await expect.poll(unpacked).toHaveLength(1);
    await gate.system('DELETE', '/system/functions', { functionName: 'moves' });
    // Its name is there, its files are not unpacked any more.
    await expect.poll(unpacked).toEqual([]);
    expect(await ids()).toHaveLength(1);
    await gate.system('DELETE', '/axle/v1/bundles/tags/moves%3Alatest');
    expect([await ids(), await readdir(inStore('blobs'))]).toEqual([[], []]);
  });

  it('takes no more than it has room for', async () => {
    await gate.close();
    gate = await TestFrontEnd.start({ bundleBytesMax: 1000 });
    expect((await gate.push('small', 'export default () => 1')).status).toBe(200);
    const large = await gate.push('large', `// ${'x'.repeat(1000)}`);
    expect(large).toMatchObject({
      status: 400,
      text: expect.stringContaining('not here') as string,
    });
  });

  it('tells why a new version does not start, as long as the old one serves', async () => {
    await gate.deploy('turns', 'export default () => "old"');
    expect((await gate.ask('GET', '/function/turns')).text).toBe('old');
    expect(await status('turns')).not.toHaveProperty('failure');
    await update('turns', 'export default 7');
    const failure = {
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('no function as its default export') as string,
      at: expect.stringMatching(/^\d{4}-/) as string,
    };
    await expect.poll(() => status('turns')).toMatchObject({ failure });
    expect((await gate.ask('GET', '/function/turns')).text).toBe('old');
    const page = jsonOf<{ functions: { failure: string }[] }>(
      await gate.system('GET', '/ui/state'),
    );
    expect(page.functions).toMatchObject([
      { failure: expect.stringMatching(/^FAILED_PRECONDITION: the handler/) as string },
    ]);
    await update('turns', 'export default () => "new"');
    await expect.poll(async () => (await gate.ask('GET', '/function/turns')).text).toBe('new');
    expect(await status('turns')).not.toHaveProperty('failure');
  });

  it('tells a function secrets of a mebibyte each, and refuses more than it can', async () => {
    const names = Array.from({ length: 9 }, (_, i) => `large-${i}`);
    for (const name of names) {
      const value = name.padEnd(1024 * 1024, '.');
      expect((await gate.system('POST', '/system/secrets', { name, value })).status).toBe(201);
    }
    const handler = `export default (event, { secrets }) =>
      [...secrets].map(([name, value]) => name + value.byteLength).join();`;
    await gate.deploy('knows', handler, { secrets: names.slice(1) });
    const { text } = await gate.ask('GET', '/function/knows');
    expect(text.split(',').sort()).toEqual(names.slice(1).map((name) => `${name}1048576`));
    expect(await update('knows', handler, { secrets: names })).toMatchObject({
      status: 400,
      text: expect.stringContaining('9437184 bytes, and 8388608 are the most') as string,
    });
  });

  it('gives no instance a name that another had', async () => {
    const handler = `export default (event, { instance }) => instance`;
    const seen = new Set<string>();
    for (let times = 0; times < 3; times++) {
      await gate.deploy('again', handler);
      seen.add((await gate.ask('GET', '/function/again')).text);
      await gate.system('DELETE', '/system/functions', { functionName: 'again' });
    }
    expect([...seen]).toEqual(['again.1.1', 'again.1.2', 'again.1.3']);
  });

  it('starts in a folder whose contents somebody took away', async () => {
    await gate.deploy('bare', 'export default () => "bare"');
    await gate.stop();
    await rm(inStore('blobs'), { recursive: true });
    await gate.open();
    expect(await status('bare')).toMatchObject({ failure: { code: 'DATA_LOSS' } });
  });

  it('starts though what is stored of a function is broken, lists it, and harms nobody', async () => {
    await gate.deploy('torn', 'export default () => "torn"', { envVars: { KEY: 'hidden' } });
    await gate.deploy('sound', 'export default () => "sound"');
    // Nothing but the deployment names it.
    await gate.system('DELETE', '/axle/v1/bundles/tags/torn:latest');
    const id = join(gate.place, 'state', 'deployments', 'torn.json');
    const whole = await readFile(id, 'utf8');
    await gate.stop();
    await writeFile(id, whole.replace('"version":1', '"version":hidden'));
    await gate.open();
    expect((await gate.ask('GET', '/function/sound')).text).toBe('sound');
    const call = await gate.ask('GET', '/function/torn');
    expect(call).toMatchObject({
      status: 502,
      text: 'DATA_LOSS: what was deployed as torn cannot be read any more; deploy it again\n',
    });
    expect((await gate.ask('POST', '/async-function/torn')).status).toBe(502);
    expect(await status('torn')).toMatchObject({ name: 'torn', failure: { code: 'DATA_LOSS' } });
    expect(jsonOf<Status[]>(await gate.system('GET', '/system/functions'))).toMatchObject([
      { name: 'sound' },
      { name: 'torn', replicas: 0, failure: { code: 'DATA_LOSS' } },
    ]);
    expect(jsonOf(await gate.system('GET', '/ui/state'))).toMatchObject({
      functions: [{ name: 'sound' }, { name: 'torn', failure: expect.any(String) as string }],
    });
    // What it names is not known now, and is not thrown away.
    await update('sound', 'export default () => "sound 2"');
    await gate.stop();
    await writeFile(id, whole);
    await gate.open();
    expect((await gate.ask('GET', '/function/torn')).text).toBe('torn');
    await gate.stop();
    await writeFile(id, '');
    await gate.open();
    expect((await update('torn', 'export default () => "mended"')).status).toBe(202);
    expect((await gate.ask('GET', '/function/torn')).text).toBe('mended');
    expect(await status('torn')).not.toHaveProperty('failure');
  });
});
