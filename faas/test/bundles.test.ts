import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  bundleFileContent,
  bundleIdOf,
  BundleStore,
  checkCommandFile,
  parseBundleReference,
  parseFunctionManifest,
  readBundleFiles,
  type BundleFile,
} from '@axle/faas';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let place: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'axle-faas-'));
});
afterEach(() => rm(place, { recursive: true }));

const manifest = JSON.stringify({ name: 'hello', handler: 'lib/handler.mjs' });
const hello: Readonly<Record<string, string>> = {
  'axle-function.json': manifest,
  'lib/handler.mjs': 'export default () => "hello";\n',
  'run.sh': '#!/bin/sh\n',
};

async function write(folder: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

/** As axle function push does. */
async function push(store: BundleStore, folder: string, reference: string): Promise<string> {
  const files = await readBundleFiles(folder);
  for (const sha256 of await store.missing(files)) {
    const file = files.find((each) => each.sha256 === sha256) as BundleFile;
    const content = await bundleFileContent(folder, file);
    await store.putBlob(sha256, chunks(Buffer.from(await content.arrayBuffer())));
  }
  return store.tag(parseBundleReference(reference), files);
}

// eslint-disable-next-line @typescript-eslint/require-await -- what comes over a connection comes so
async function* chunks(data: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.byteLength; at += 7) yield data.subarray(at, at + 7);
}

describe('a bundle', () => {
  it('is the same wherever its folder lies, and another when a byte, a name or a permission is', async () => {
    const a = await write(join(place, 'a'), hello);
    const b = await write(join(place, 'b'), { ...hello, '.git/HEAD': 'left out' });
    const id = bundleIdOf(await readBundleFiles(a));
    expect(bundleIdOf(await readBundleFiles(b))).toBe(id);
    await chmod(join(b, 'run.sh'), 0o755);
    expect(bundleIdOf(await readBundleFiles(b))).not.toBe(id);
    const c = await write(join(place, 'c'), { ...hello, 'run.sh': '#!/bin/bash\n' });
    expect(bundleIdOf(await readBundleFiles(c))).not.toBe(id);
  });

  it('has regular files only', async () => {
    const folder = await write(join(place, 'a'), hello);
    await new Promise<void>((resolve) =>
      createServer().listen(join(folder, 'socket'), resolve).unref(),
    );
    await expect(readBundleFiles(folder)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: '"socket" is neither a file, a folder nor a link; leave it out',
    });
  });

  it('keeps links that stay inside as links, and another target is another bundle', async () => {
    const folder = await write(join(place, 'a'), {
      ...hello,
      'node_modules/tool/cli.js': '#!/usr/bin/env node\n',
    });
    await mkdir(join(folder, 'node_modules/.bin'));
    await symlink('../tool/cli.js', join(folder, 'node_modules/.bin/tool'));
    await symlink('node_modules/tool/', join(folder, 'tool'));
    const store = await BundleStore.open(join(place, 'store'));
    const id = await push(store, folder, 'hello:v1');
    const bundle = await store.load(id);
    expect(await readlink(join(bundle.folder, 'node_modules/.bin/tool'))).toBe('../tool/cli.js');
    expect(await readFile(join(bundle.folder, 'tool/cli.js'), 'utf8')).toContain('env node');
    await rm(join(folder, 'tool'));
    await symlink('node_modules', join(folder, 'tool'));
    expect(await push(store, folder, 'hello:v1')).not.toBe(id);
  });

  it.each([
    ['link', '/etc/passwd'],
    ['link', '../outside'],
    ['lib/link', '../../outside'],
    ['lib/link', '..', 'is fine'],
    ['lib/link', './handler.mjs', 'is fine'],
    ['lib/link', '../lib/../../outside'],
    ['lib/link', 'handler.mjs/../../..'],
    ['link', 'a\\b'],
    ['link', 'x'.repeat(2000)],
  ])('has no link %s that leads out of it, or may: %s', async (path, target, isFine = '') => {
    const folder = await write(join(place, 'a'), hello);
    await symlink(target, join(folder, path));
    const store = await BundleStore.open(join(place, 'store'));
    const content = Buffer.from(target);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const { length: bytes } = content;
    const own = await readBundleFiles(await write(join(place, 'b'), hello));
    for (const file of own)
      await store.putBlob(file.sha256, chunks(await readFile(join(place, 'b', file.path))));
    await store.putBlob(sha256, chunks(content));
    const files = [...own, { path, bytes, executable: false, sha256, link: true as const }];
    // Whoever sends a list by hand is told the same.
    const tagged = store.tag(parseBundleReference('hello:v1'), files);
    if (isFine !== '') {
      await readBundleFiles(folder);
      await tagged;
      return;
    }
    const wanted = {
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('the link') as string,
    };
    await expect(tagged).rejects.toMatchObject(wanted);
    await expect(readBundleFiles(folder)).rejects.toMatchObject(wanted);
  });

  it('has no file whose name is no UTF-8', async () => {
    const folder = await write(join(place, 'a'), hello);
    await writeFile(join(folder, 'sound-\ufffd'), '');
    expect((await readBundleFiles(folder)).map(({ path }) => path)).toContain('sound-\ufffd');
    const name = Buffer.from([...Buffer.from(`${folder}/bad-`), 0xe9]);
    await writeFile(name, '');
    await expect(readBundleFiles(folder)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: '"bad-\ufffd" has a name that is no UTF-8; rename it, or leave it out',
    });
  });

  it.each(['.', '..', './', '/', '/usr/', 'bin/..'])('has no program %s', (program) => {
    const files = [{ path: 'bin/a', bytes: 1, executable: true, sha256: 'a'.repeat(64) }];
    expect(() => checkCommandFile({ command: [program] }, files)).toThrow(
      /, which is a folder, and no program/,
    );
  });

  it('may name its handler as shells do', () => {
    const { handler } = parseFunctionManifest('{"name":"a","handler":"./lib/handler.mjs"}');
    expect(handler).toBe('lib/handler.mjs');
  });

  it('of a guest names what boots, and has its calls one after the other', () => {
    const { guest, concurrency, handler } = parseFunctionManifest(
      '{"name":"a","runtime":"microvm","image":"./guest"}',
    );
    expect(guest).toEqual({ runtime: 'microvm', image: 'guest' });
    expect([concurrency, handler]).toEqual([1, undefined]);
  });

  it('has nothing beyond a link', () => {
    const sha256 = 'a'.repeat(64);
    const file = { bytes: 1, executable: false, sha256 };
    const beyond = [
      { ...file, path: 'lib', link: true as const },
      { ...file, path: 'lib/handler.mjs' },
    ];
    expect(() => bundleIdOf(beyond)).toThrow(/"lib" is a file and a folder/);
  });
});

describe('a store of bundles', () => {
  it('gives back what was pushed, by its name and by its id', async () => {
    const folder = await write(join(place, 'a'), hello);
    await chmod(join(folder, 'run.sh'), 0o755);
    const store = await BundleStore.open(join(place, 'store'));
    const id = await push(store, folder, 'hello:v1');
    for (const bundle of [
      await store.resolve({ name: 'hello', tag: 'v1' }),
      await store.load(id),
    ]) {
      expect(bundle).toMatchObject({ id, manifest: { name: 'hello', handler: 'lib/handler.mjs' } });
      for (const [path, text] of Object.entries(hello)) {
        expect(await readFile(join(bundle.folder, path), 'utf8')).toBe(text);
      }
      expect((await stat(join(bundle.folder, 'run.sh'))).mode & 0o777).toBe(0o555);
      expect((await stat(join(bundle.folder, 'lib/handler.mjs'))).mode & 0o777).toBe(0o444);
    }
  });

  it('is the same after a restart, asks for no content twice, and forgets what nothing names', async () => {
    const folder = await write(join(place, 'a'), hello);
    const first = await BundleStore.open(join(place, 'store'));
    const old = await push(first, folder, 'hello:v1');
    await write(folder, { 'lib/handler.mjs': 'export default () => "new";\n' });
    const store = await BundleStore.open(join(place, 'store'));
    expect(await store.missing(await readBundleFiles(folder))).toHaveLength(1);
    const id = await push(store, folder, 'hello:v1');
    expect(id).not.toBe(old);
    expect(await store.list()).toMatchObject([{ name: 'hello', tag: 'v1', id }]);

    await store.collect(new Set([old]));
    expect((await store.load(old)).id).toBe(old);
    await store.collect(new Set());
    await expect(store.load(old)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await store.resolve({ name: 'hello', tag: 'v1' })).id).toBe(id);
    await store.untag({ name: 'hello', tag: 'v1' });
    await store.collect(new Set());
    expect(await readdir(join(place, 'store', 'blobs'))).toEqual([]);
    await expect(store.resolve({ name: 'hello', tag: 'v1' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/no bundle hello:v1; push the folder/) as string,
    });
  });

  it('with a bundle that is gone or broken tells of it, and loses nothing else', async () => {
    const folder = await write(join(place, 'a'), hello);
    const store = await BundleStore.open(join(place, 'store'));
    const id = await push(store, folder, 'hello:v1');
    await write(folder, { 'run.sh': '#!/bin/other\n' });
    const other = await push(store, folder, 'hello:v2');
    const list = join(place, 'store', 'bundles', `${id}.json`);
    const text = await readFile(list, 'utf8');
    for (const spoil of [() => writeFile(list, text.replace('run.sh', 'ran.sh')), () => rm(list)]) {
      await spoil();
      expect(await store.list()).toMatchObject([
        { tag: 'v1', bytes: 0, trouble: expect.stringContaining(id) as string },
        { tag: 'v2', id: other },
      ]);
      expect([...(await store.troubles([id, other])).keys()]).toEqual([id]);
      await store.collect(new Set());
    }
    // Nobody knows what it had: once its list is back, all is.
    await writeFile(list, text);
    expect(await readFile(join((await store.load(id)).folder, 'run.sh'), 'utf8')).toBe(
      '#!/bin/sh\n',
    );
  });

  it('keeps what is being pushed until it is named, for so long', async () => {
    const folder = await write(join(place, 'a'), hello);
    const files = await readBundleFiles(folder);
    const blobs = () => readdir(join(place, 'store', 'blobs'));
    const send = async (store: BundleStore): Promise<void> => {
      for (const file of files)
        await store.putBlob(file.sha256, chunks(await readFile(join(folder, file.path))));
      await store.collect(new Set());
    };
    const store = await BundleStore.open(join(place, 'store'));
    await send(store);
    await store.tag(parseBundleReference('hello:v1'), files);
    await store.untag({ name: 'hello', tag: 'v1' });
    // Who was told that they are here need not send them.
    expect(await store.missing(files)).toEqual([]);
    await store.collect(new Set());
    expect(await blobs()).toHaveLength(files.length);
    const hasty = await BundleStore.open(join(place, 'store'), { pushMsMax: 0 });
    await send(hasty);
    expect(await blobs()).toEqual([]);
  });

  it('names and removes one after another, whoever asks at once', async () => {
    const folder = await write(join(place, 'a'), hello);
    const store = await BundleStore.open(join(place, 'store'), { pushMsMax: 0 });
    const files = await readBundleFiles(folder);
    const reference = parseBundleReference('hello:v1');
    for (let times = 0; times < 30; times++) {
      for (const { path, sha256 } of files)
        await store.putBlob(sha256, chunks(await readFile(join(folder, path))));
      const [id] = await Promise.all([
        store.tag(reference, files).catch((error: unknown) => error),
        store.collect(new Set()),
        store.list(),
      ]);
      // Named and whole, or refused since its contents had gone.
      if (typeof id === 'string') await store.load(id);
      else expect(id).toMatchObject({ code: 'FAILED_PRECONDITION' });
      await Promise.all([store.untag(reference).catch(() => undefined), store.collect(new Set())]);
    }
  });

  it('has files unpacked of what is in use only', async () => {
    const store = await BundleStore.open(join(place, 'store'));
    const id = await push(store, await write(join(place, 'a'), hello), 'hello:v1');
    const unpacked = (): Promise<string[]> => readdir(join(place, 'store', 'unpacked'));
    await store.load(id);
    await store.collect(new Set([id]));
    expect(await unpacked()).toEqual([id]);
    await store.collect(new Set());
    expect(await unpacked()).toEqual([]);
    expect(await readdir((await store.load(id)).folder)).toContain('run.sh');
  });

  it('keeps nothing of a content that is not what it is said to be, or too much', async () => {
    const store = await BundleStore.open(join(place, 'store'), { bytesMax: 10 });
    const [{ sha256 }] = (await readBundleFiles(await write(join(place, 'a'), { f: 'abc' }))) as [
      BundleFile,
    ];
    await expect(store.putBlob(sha256, chunks(Buffer.from('abd')))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(store.putBlob(sha256, chunks(Buffer.alloc(11)))).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryable: false,
    });
    for (const name of ['blobs', 'incoming']) {
      expect(await readdir(join(place, 'store', name))).toEqual([]);
    }
  });

  it('keeps nothing of a content of which the disk took a part', () => {
    const script = `
      import { createHash } from 'node:crypto';
      import { BundleStore } from '@axle/faas';
      const store = await BundleStore.open(process.argv[1]);
      const content = Buffer.alloc(1500, 'x');
      const sha256 = createHash('sha256').update(content).digest('hex');
      const refused = await store.putBlob(sha256, [content]).catch((error) => error);
      console.log(refused?.code, (await store.missing([{ path: 'x', bytes: 1500, executable: false, sha256 }])).length);
    `;
    // In units of 1024 bytes: the system takes 1024 of the 1500, as at the edge of a full disk.
    const limited = ['-c', 'ulimit -f 1; exec "$@"', 'bash', process.execPath];
    const node = ['--input-type=module', '--eval', script, join(place, 'store')];
    const here = { cwd: import.meta.dirname, encoding: 'utf8' } as const;
    expect(execFileSync('bash', [...limited, ...node], here)).toBe('EFBIG 1\n');
  });

  it('names no bundle without its contents, its manifest, or under a name that is not its own', async () => {
    const folder = await write(join(place, 'a'), hello);
    const store = await BundleStore.open(join(place, 'store'));
    const files = await readBundleFiles(folder);
    const reference = parseBundleReference('hello:v1');
    await expect(store.tag(reference, files)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    await push(store, folder, 'hello:v1');
    await expect(store.tag(parseBundleReference('bye'), files)).rejects.toThrow(
      /is of 'hello', and the bundle is named bye:latest/,
    );
    const [, ...rest] = files;
    await expect(store.tag(reference, rest)).rejects.toThrow(/has its axle-function.json/);
    const handlerless = files.filter(({ path }) => !path.startsWith('lib'));
    await expect(store.tag(reference, handlerless)).rejects.toThrow(
      /no handler 'lib\/handler.mjs'/,
    );
    const lying = files.map((file) => ({ ...file, bytes: file.bytes + 1 }));
    await expect(store.tag(reference, lying)).rejects.toThrow(/has \d+ bytes, not \d+/);
  });

  it('takes no path that leads out of the folder, whatever it looks like', async () => {
    const store = await BundleStore.open(join(place, 'store'));
    const sha256 = '0'.repeat(64);
    const segment = fc.constantFrom('..', '.', '', 'a', '\0', '\\', 'b c');
    await fc.assert(
      fc.asyncProperty(fc.array(segment, { minLength: 1, maxLength: 5 }), async (segments) => {
        const path = segments.join('/');
        const isSound = segments.every((each) => each === 'a' || each === 'b c');
        const asked = store.missing([{ path, bytes: 0, executable: false, sha256 }]);
        if (isSound) expect(await asked).toEqual([sha256]);
        else await expect(asked).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      }),
    );
    const file = { bytes: 0, executable: false, sha256 };
    await expect(
      store.missing([
        { ...file, path: 'a/b' },
        { ...file, path: 'a' },
      ]),
    ).rejects.toThrow(/"a" is a file and a folder/);
    await expect(store.missing([{ ...file, path: 'a', sha256: '../../x' }])).rejects.toThrow(
      /no SHA-256/,
    );
  });
});

describe('a reference', () => {
  it.each([
    ['hello', { name: 'hello', tag: 'latest' }],
    ['hello:1.2', { name: 'hello', tag: '1.2' }],
  ])('%s is one', (text, wanted) => {
    expect(parseBundleReference(text)).toEqual(wanted);
  });

  it.each([
    ['docker.io/me/hello:1', /images of registries are not run here; push the folder/],
    ['Hello', /names no bundle; give NAME:TAG/],
    ['hello:', /names no bundle/],
    ['-a', /names no bundle/],
    ['hello:a b', /names no bundle/],
  ])('%s is none', (text, message) => {
    expect(() => parseBundleReference(text)).toThrow(message);
  });
});

describe('a manifest', () => {
  it('has what is left out by default', () => {
    expect(parseFunctionManifest('{"name": "a", "command": ["cat"]}')).toEqual({
      name: 'a',
      handler: undefined,
      command: ['cat'],
      models: [],
      memoryMiB: 256,
      timeoutMs: 30_000,
      concurrency: 16,
      environment: {},
    });
  });

  it.each([
    ['', /axle-function.json: .*JSON/],
    ['[]', /one object/],
    ['{}', /'name' is to be text/],
    ['{"name":"A","handler":"h"}', /"A" is no name of a function/],
    ['{"name":"a"}', /'handler' or 'command' is to be there/],
    ['{"name":"a","handler":"h","command":["x"]}', /and not both/],
    ['{"name":"a","handler":"../h"}', /a path inside the folder/],
    ['{"name":"a","handler":7}', /'handler' takes/],
    ['{"name":"a","command":[]}', /'command' takes 1 to 64 texts/],
    ['{"name":"a","handler":"h","models":"m"}', /'models' takes/],
    ['{"name":"a","handler":"h","memoryMiB":1}', /'memoryMiB' takes a whole number from 64/],
    ['{"name":"a","handler":"h","timeoutMs":0.5}', /'timeoutMs' takes/],
    ['{"name":"a","handler":"h","environment":{"A B":"x"}}', /a name that is none: A B/],
    ['{"name":"a","handler":"h","environment":{"A":1}}', /a text of at most 4096 characters for A/],
    ['{"name":"a","handler":"h","runtime":"microvm","image":"x"}', /and not both/],
    ['{"name":"a","runtime":"unikernel"}', /'image' takes/],
    ['{"name":"a","runtime":"linux","image":"x"}', /'runtime' takes unikernel or microvm/],
    ['{"name":"a","image":"x","handler":"x"}', /'runtime' says as what/],
    [
      '{"name":"a","runtime":"microvm","image":"../x"}',
      /'image' is to be a path inside the folder/,
    ],
    ['{"name":"a","runtime":"microvm","image":"x","concurrency":2}', /a whole number from 1 to 1$/],
    ['{"name":"a","handler":"h","memory":1}', /'memory' is not known; there are name, handler/],
  ])('%s is refused with the reason', (text, message) => {
    expect(() => parseFunctionManifest(text)).toThrow(message);
  });
});

describe('the command of a manifest', () => {
  const file = (path: string, executable: boolean): BundleFile => ({
    ...{ path, executable, bytes: 1, sha256: '0'.repeat(64) },
  });
  const files = [
    file('run.sh', true),
    file('bin/tool', true),
    file('plain.txt', false),
    { ...file('sbin', false), link: true as const },
  ];

  it.each([['./run.sh'], ['run.sh'], ['bin/../bin/tool'], ['cat'], ['/bin/cat'], ['sbin/x']])(
    'may begin with %s',
    (program) => {
      expect(() => {
        checkCommandFile({ command: [program, 'x'] }, files);
      }).not.toThrow();
    },
  );

  it.each([
    ['./missing.sh', /"\.\/missing\.sh", which is no file of the function/],
    ['bin/missing', /no file of the function/],
    ['../run.sh', /no file of the function/],
    ['./plain.txt', /may not be executed; chmod \+x plain\.txt, and push again/],
    ['plain.txt', /may not be executed/],
  ])('may not begin with %s', (program, message) => {
    expect(() => {
      checkCommandFile({ command: [program] }, files);
    }).toThrow(message);
  });

  it('is none where a handler is', () => {
    expect(() => {
      checkCommandFile({ command: undefined }, []);
    }).not.toThrow();
  });
});
