import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  deploymentOf,
  DeploymentStore,
  parseDeploymentRequest,
  parseFunctionManifest,
  SecretStore,
  type Deployment,
} from '@axle/faas';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let place: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'axle-faas-'));
});
afterEach(() => rm(place, { recursive: true }));

const bundle = {
  id: 'a'.repeat(64),
  manifest: parseFunctionManifest(
    '{"name":"hello","handler":"h.mjs","timeoutMs":5000,"concurrency":8}',
  ),
};

function deployed(fields: object, notes: string[] = []): Deployment {
  const request = parseDeploymentRequest(
    JSON.stringify({ service: 'hello', image: 'hello', ...fields }),
  );
  notes.push(...request.notes);
  return deploymentOf(
    request,
    bundle,
    { createdAt: '2026-01-01T00:00:00.000Z', generation: 1 },
    notes,
  );
}

const scale = (labels: Record<string, string>) => ({
  labels: Object.fromEntries(
    Object.entries(labels).map(([name, text]) => [`com.openfaas.scale.${name}`, text]),
  ),
});

describe('a deployment', () => {
  it('has from the bundle and by default what the request leaves out', () => {
    expect(deployed({})).toEqual({
      ...{
        name: 'hello',
        image: 'hello',
        bundleId: bundle.id,
        environment: {},
        secrets: [],
        labels: {},
      },
      ...{ annotations: {}, memoryMiB: 256, timeoutMs: 5000, concurrency: 8, generation: 1 },
      createdAt: '2026-01-01T00:00:00.000Z',
      scaling: {
        ...{ min: 1, max: 20, by: 'concurrency', target: 8, toZero: false, idleMs: 900_000 },
        ...{ inFlightMax: 160, queueMax: 1000 },
      },
    });
  });

  it.each([
    ['128Mi', 128],
    ['1Gi', 1024],
    ['1G', 954],
    ['1.5Gi', 1536],
    ['134217728', 128],
    ['1e9', 954],
    ['134217728000m', 128],
  ])('has memory %s as MiB', (memory, MiB) => {
    expect(deployed({ limits: { memory } }).memoryMiB).toBe(MiB);
  });

  it('follows the labels of OpenFaaS', () => {
    const labels = {
      min: '0',
      max: '3',
      type: 'rps',
      target: '7',
      zero: 'true',
      'zero-duration': '1m30s',
    };
    expect(deployed(scale(labels)).scaling).toMatchObject({
      ...{ min: 0, max: 3, by: 'rate', target: 7, toZero: true, idleMs: 90_000 },
    });
  });

  it('takes times and calls in flight from the variables of the watchdog', () => {
    const { timeoutMs, concurrency, scaling } = deployed({
      envVars: { exec_timeout: '2m', max_inflight: '3' },
    });
    expect({ timeoutMs, concurrency }).toEqual({ timeoutMs: 120_000, concurrency: 3 });
    expect(scaling).toMatchObject({ inFlightMax: 3, queueMax: 0 });
  });

  it('says what of it does nothing', () => {
    const notes: string[] = [];
    const { memoryMiB } = deployed(
      {
        ...{ envProcess: 'node index.js', constraints: ['a == b'], requests: { memory: '1Gi' } },
        ...{ limits: { memory: '20Mi', cpu: '100m' }, ...scale({ factor: '5' }) },
      },
      notes,
    );
    expect(memoryMiB).toBe(64);
    expect(notes.map((note) => note.split(/ is|:/)[0])).toEqual(
      expect.arrayContaining([
        'limits.memory',
        'limits.cpu',
        'requests',
        'envProcess',
        'constraints',
        'label com.openfaas.scale.factor',
      ]),
    );
  });

  it.each([
    ['no JSON', '{', /the deployment is no JSON/],
    ['no object', '[]', /is to be one object/],
    ['a field that nobody knows', { replicas: 3 }, /replicas is not known; there are service/],
    ['a name that is none', { service: 'Hello' }, /no name of a function/],
    [
      'an image of a registry',
      { image: 'docker.io/me/hello:1' },
      /images of registries are not run here; push/,
    ],
    [
      'another namespace',
      { namespace: 'other' },
      /no namespace "other"; openfaas-fn is the only one/,
    ],
    [
      'protection that would be missing',
      { readOnlyRootFilesystem: true },
      /not kept by instances that are processes/,
    ],
    [
      'memory that is no quantity',
      { limits: { memory: '1 potato' } },
      /limits.memory takes a quantity/,
    ],
    ['too much memory', { limits: { memory: '1Ti' } }, /at most 65536Mi/],
    ['secrets that are paths', { secrets: ['../etc/passwd'] }, /secrets takes at most/],
    ['secrets of no name', { secrets: ['good', '../x'] }, /64 names; "..\/x" is none/],
    ['secrets that are no list', { secrets: 'key' }, /secrets takes a list of at most/],
    [
      'a variable that is a number',
      { envVars: { A: 1 } },
      /envVars takes a text for A: this is no/,
    ],
    ['a variable with NUL', { envVars: { A: 'a\0' } }, /for A: this has a NUL character/],
    [
      'a variable that is too long',
      { envVars: { A: 'x'.repeat(200_000) } },
      /for A: this has 200000 characters, and \d+ are the most/,
    ],
    ['a time without a unit', scale({ 'zero-duration': '5' }), /zero-duration takes a time with a/],
    ['labels that are no texts', { labels: { a: 1 } }, /labels takes a text/],
    [
      'too many labels',
      { labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`l${i}`, ''])) },
      /65 entries; 64/,
    ],
    ['variables that no process has', { envVars: { 'A B': '' } }, /a name that is none: "A B"/],
    ['no time', { envVars: { exec_timeout: 'soon' } }, /exec_timeout takes a time/],
    ['more than all of min', scale({ min: '5', max: '2' }), /scale.min is 5, and max 2/],
    ['none, and yet not to none', scale({ min: '0' }), /set com.openfaas.scale.zero/],
    ['load of the CPU', scale({ type: 'cpu' }), /load of the CPU is not looked at/],
    ['a label that is misspelt', scale({ mn: '1' }), /scale.mn is not known/],
  ])('is refused with %s', (_, fields, message) => {
    const text =
      typeof fields === 'string'
        ? fields
        : JSON.stringify({ service: 'hello', image: 'hello', ...fields });
    expect(() => {
      const request = parseDeploymentRequest(text);
      deploymentOf(request, bundle, { createdAt: '', generation: 1 }, []);
    }).toThrow(message);
  });
});

describe('deployments on disk', () => {
  it('are the same after a restart, without what a crash left', async () => {
    const store = await DeploymentStore.open(place);
    const hello = deployed({ envVars: { A: 'b' } });
    await store.put(hello);
    await store.put({ ...hello, name: 'bye' });
    expect(await store.remove('bye')).toBe(true);
    expect(await store.remove('bye')).toBe(false);
    await writeFile(join(place, '.left'), 'half');
    expect((await DeploymentStore.open(place)).list()).toEqual([hello]);
    expect(await readdir(place)).toEqual(['hello.json']);
  });

  it.each([
    ['half of it', (text: string) => text.slice(0, 50), /no JSON/],
    [
      'another function',
      (text: string) => text.replace('"name":"hello"', '"name":"bye"'),
      /its name/,
    ],
    [
      'a count that is none',
      (text: string) => text.replace('"timeoutMs":5000', '"timeoutMs":-1'),
      /its timeoutMs/,
    ],
    [
      'a policy that is none',
      (text: string) => text.replace('"by":"concurrency"', '"by":"x"'),
      /its scaling/,
    ],
    ['a format to come', (text: string) => text.replace('"version":1', '"version":2'), /version 2/],
  ])('are not taken where a file has %s, and others are', async (_, spoil, message) => {
    const before = await DeploymentStore.open(place);
    const sound = { ...deployed({}), name: 'sound' };
    await before.put(deployed({}));
    await before.put(sound);
    const path = join(place, 'hello.json');
    await writeFile(path, spoil(await readFile(path, 'utf8')));
    const store = await DeploymentStore.open(place);
    expect(store.list()).toEqual([sound]);
    expect([...store.broken]).toEqual([
      [
        'hello',
        expect.objectContaining({
          code: 'DATA_LOSS',
          message: expect.stringMatching(message) as string,
        }),
      ],
    ]);
    // What is deployed anew takes its place, and what is removed is gone.
    await store.put(deployed({}));
    expect([store.list().length, store.broken.size]).toEqual([2, 0]);
    await writeFile(path, '');
    expect(await (await DeploymentStore.open(place)).remove('hello')).toBe(true);
    expect(await readdir(place)).toEqual(['sound.json']);
  });
});

describe('what is in the way of deployments on disk', () => {
  it('is told with its path, and keeps no other from being there', async () => {
    const before = await DeploymentStore.open(place);
    const sound = { ...deployed({}), name: 'sound' };
    await before.put(sound);
    await mkdir(join(place, 'hello.json'));
    await mkdir(join(place, '.snapshot'));
    await symlink('nowhere', join(place, 'linked.json'));
    execFileSync('mkfifo', [join(place, 'pipe.json')]);
    const store = await DeploymentStore.open(place);
    expect(store.list()).toEqual([sound]);
    expect([...store.broken.keys()]).toEqual(['hello', 'linked', 'pipe']);
    for (const [name, { code, message }] of store.broken)
      expect({ code, message }).toEqual({
        code: 'DATA_LOSS',
        message: expect.stringContaining(join(place, `${name}.json`)) as string,
      });
    const inTheWay = { code: 'FAILED_PRECONDITION', message: /hello.json is a folder/ };
    await expect(store.put(deployed({}))).rejects.toMatchObject(told(inTheWay));
    await expect(store.remove('hello')).rejects.toMatchObject(told(inTheWay));
    expect(await store.remove('pipe')).toBe(true);
    expect((await readdir(place)).sort()).toEqual([
      ...['.snapshot', 'hello.json', 'linked.json', 'sound.json'],
    ]);
  });
});

const told = ({ code, message }: { code: string; message: RegExp }) => ({
  code,
  message: expect.stringMatching(message) as string,
});

describe('secrets', () => {
  it('are files of this user alone, read by name', async () => {
    const store = await SecretStore.open(place);
    await store.create('key', Buffer.from('s3cret'));
    await store.update('key', Buffer.from('other'));
    expect((await stat(join(place, 'key'))).mode & 0o777).toBe(0o600);
    const again = await SecretStore.open(place);
    expect(again.list()).toEqual(['key']);
    expect((await again.read(['key'])).get('key')?.toString()).toBe('other');
    await expect(again.create('key', Buffer.from('x'))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    await again.remove('key');
    expect(() => again.require(['key'])).toThrow(/no secret key/);
    await expect(again.update('key', Buffer.from('x'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('are files: what else is in their folder is none', async () => {
    await mkdir(join(place, 'folder'));
    await mkdir(join(place, '.snapshot'));
    expect((await SecretStore.open(place)).list()).toEqual([]);
  });

  it.each(['', '.hidden', '../up', 'a/b', 'a\0', 'x'.repeat(300)])(
    'have no name like %j',
    async (name) => {
      const store = await SecretStore.open(place);
      await expect(store.create(name, Buffer.from('x'))).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
      expect(await readdir(place)).toEqual([]);
    },
  );
});
