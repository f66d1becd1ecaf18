import { AsyncLocalStorage } from 'node:async_hooks';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

import { AxleError, connect, shippedModels, Tensor, type BinaryInput, type Client } from 'axle';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { hugePng, sampleImages, type Sample } from './images.js';
import { unavailableBesidesCards } from './plugins.js';
import { inProcess, ways, type Way } from './ways.js';

let device = 'cpu-fallback:0';
let way: Way;
let client: Client;
let samples: Sample[];
let first: Sample;

beforeAll(async () => {
  samples = await sampleImages();
  first = samples[0] as Sample;
});

function useWay(open: () => Promise<Way>): void {
  beforeAll(async () => {
    way = await open();
    device = `${way.prefix}cpu-fallback:0`;
    client = await way.connect();
  });
  afterAll(() => client.close());
}

describe.each(ways)('classify %s', (_way, open) => {
  useWay(open);

  it('reads the shipped samples, and says which device ran what for how long', async () => {
    expect(samples.length).toBeGreaterThanOrEqual(4);
    for (const sample of samples) {
      const result = await client.classify(sample.path);
      expect(result.results[0]?.label).toBe(sample.label);
      expect(result.model).toBe('glyphs');
      expect(result.device).toBe(device);
      expect(result.steps.map(({ step, device: ran }) => [step, ran])).toEqual([
        ['decode', `${way.prefix}host:0`],
        ['preprocess..topk', device],
      ]);
      expect(result.fallbacks).toEqual([]);
      const { queue, transfer, compute, total } = result.timingMs;
      expect(Math.min(queue, transfer)).toBeGreaterThanOrEqual(0);
      expect(compute).toBeGreaterThan(0);
      expect(total).toBeGreaterThanOrEqual(compute);
    }
  });

  it.each<[string, (sample: Sample) => BinaryInput]>([
    ['Buffer', ({ bytes }) => bytes],
    ['Uint8Array', ({ bytes }) => new Uint8Array(bytes)],
    ['Float32Array', ({ bytes }) => floatsOver(bytes)],
    ['ArrayBuffer', ({ bytes }) => new Uint8Array(bytes).buffer],
    ['path', ({ path }) => path],
    ['file URL', ({ path }) => pathToFileURL(path)],
    ['Node stream', ({ path }) => createReadStream(path, { highWaterMark: 100 })],
    [
      'web stream',
      ({ bytes }) => Readable.toWeb(Readable.from([bytes])) as ReadableStream<Uint8Array>,
    ],
  ])('takes a %s', async (_, input) => {
    const { results } = await client.classify(input(first));
    expect(results[0]?.label).toBe(first.label);
  });

  it('takes an array and gives an array in the same order', async () => {
    const many = Array.from({ length: 100 }, (_, i) => samples[i % samples.length] as Sample);
    const results = await client.classify(many.map(({ bytes }) => bytes));
    expect(results.map((result) => result.results[0]?.label)).toEqual(
      many.map(({ label }) => label),
    );
    expect(await client.classify([])).toEqual([]);
    await expect(client.classify([], { signal: AbortSignal.abort('no') })).rejects.toBe('no');
  });

  it('gives the best labels first, with scores that are probabilities', async () => {
    const { results } = await client.classify(first.path, { topK: 34 });
    const scores = results.map(({ score }) => score);
    expect(results).toHaveLength(34);
    expect([...scores].sort((a, b) => b - a)).toEqual(scores);
    expect(scores.reduce((sum, score) => sum + score, 0)).toBeCloseTo(1, 3);
    expect(new Set(results.map(({ label }) => label)).size).toBe(34);
  });

  it('is the same alone and in a batch', async () => {
    const alone = await client.classify(first.path, { topK: 3 });
    const together = await client.classify(Array<string>(64).fill(first.path), { topK: 3 });
    for (const { results } of together) {
      expect(results.map(({ label }) => label)).toEqual(alone.results.map(({ label }) => label));
      expect(results[0]?.score).toBeCloseTo(alone.results[0]?.score ?? NaN, 4);
    }
  });

  it('is the same whether the decoder or the device scales the image', async () => {
    for (const side of [30, 100, 333]) {
      const image = sharp(first.bytes).resize(side, side + 20, { fit: 'fill' });
      // Lossless both; what libvips decodes from WebP it also scales.
      const [png, webp] = await client.classify(
        [await image.png().toBuffer(), await image.webp({ lossless: true }).toBuffer()],
        { topK: 34 },
      );
      const scores = (result: typeof png) =>
        [...(result?.results ?? [])].sort((a, b) => a.index - b.index).map(({ score }) => score);
      for (const [i, score] of scores(png).entries()) {
        expect(Math.abs(score - (scores(webp)[i] ?? NaN))).toBeLessThan(0.05);
      }
    }
  });

  it('keeps models apart that share their weights and not their config', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'axle-test-'));
    try {
      const weights = await readFile(join(shippedModels, 'glyphs/1/model.onnx'));
      const config = await readFile(join(shippedModels, 'glyphs/config.pbtxt'), 'utf8');
      const plain = config
        .replace('name: "glyphs"', '')
        .replace('label_filename: "labels.txt"', '');
      const configs = { good: plain, other: plain.replace('"probabilities"', '"logits"') };
      for (const [name, text] of Object.entries(configs)) {
        await mkdir(join(folder, name, '1'), { recursive: true });
        await writeFile(join(folder, name, '1/model.onnx'), weights);
        await writeFile(join(folder, name, 'config.pbtxt'), text);
      }
      await using both = await way.connect({ models: folder });
      await using alone = await way.connect({ models: folder });
      const score = async (from: Client, name: string) =>
        (await from.classify(first.path, { model: name })).results[0]?.score ?? NaN;
      const good = await score(both, 'good');
      expect(await score(both, 'other')).toBeCloseTo(await score(alone, 'other'), 4);
      expect(Math.abs(good - (await score(both, 'other')))).toBeGreaterThan(0.01);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('runs other models that take images', async () => {
    const { model, results } = await client.classify(first.path, { model: 'mlp' });
    expect(model).toBe('mlp');
    expect(results[0]?.score).toBeGreaterThan(0);
    const byUrl = await client.classify(first.path, {
      model: pathToFileURL(`${shippedModels}/mlp`),
    });
    expect(byUrl.results).toEqual(results);
  });

  it('reads pictures turned upright by EXIF, grey, transparent and 16 bits deep', async () => {
    const rotated = await sharp(first.bytes)
      .rotate(90)
      .jpeg()
      .withMetadata({ orientation: 8 })
      .toBuffer();
    const grey16 = await sharp(first.bytes).greyscale().toColourspace('grey16').png().toBuffer();
    const webp = await sharp(first.bytes).ensureAlpha().webp().toBuffer();
    const results = await client.classify([rotated, grey16, webp]);
    expect(results.map((result) => result.results[0]?.label)).toEqual(Array(3).fill(first.label));
  });

  it('keeps AsyncLocalStorage over the call', async () => {
    const storage = new AsyncLocalStorage<string>();
    await storage.run('here', async () => {
      await client.classify(first.path);
      expect(storage.getStore()).toBe('here');
    });
  });
});

describe.each(ways)('classify with bad input %s', (_way, open) => {
  useWay(open);

  it.each<[string, () => Promise<Uint8Array | string>, string, RegExp]>([
    ['a truncated JPEG', truncatedJpeg, 'INVALID_ARGUMENT', /damaged or cut short/],
    [
      'an image of 10^9 pixels',
      () => Promise.resolve(hugePng(40_000, 25_000)),
      'RESOURCE_EXHAUSTED',
      /pixels; scale it down/,
    ],
    [
      'text',
      () => Promise.resolve(Buffer.from('hello')),
      'INVALID_ARGUMENT',
      /no image that can be read/,
    ],
    ['nothing', () => Promise.resolve(Buffer.alloc(0)), 'INVALID_ARGUMENT', /the image is empty/],
    [
      'a missing file',
      () => Promise.resolve('/nowhere/x.png'),
      'NOT_FOUND',
      /cannot read the image \/nowhere\/x.png/,
    ],
    ['a folder', () => Promise.resolve('/'), 'INVALID_ARGUMENT', /cannot read the image \//],
    [
      'a name longer than any file has',
      () => Promise.resolve('x'.repeat(5000)),
      'INVALID_ARGUMENT',
      /cannot read the image x/,
    ],
  ])('refuses %s', async (_, input, code, message) => {
    const error = await client.classify(await input()).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AxleError);
    expect((error as AxleError).code).toBe(code);
    expect((error as AxleError).message).toMatch(message);
  });

  it('refuses what is no input at all, naming what it takes', async () => {
    await expect(client.classify(5 as unknown as string)).rejects.toThrow(
      /the image is number; give a Buffer/,
    );
    await expect(client.classify(new URL('http://127.0.0.1/x.png'))).rejects.toThrow(/no file URL/);
  });

  it('refuses SVG, which nothing could stop', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="50" height="50"/>');
    await expect(client.classify(svg)).rejects.toThrow(/no image that can be read; give JPEG, PNG/);
  });

  it('ends a stream that it reads when the call is aborted', async () => {
    const endless = new Readable({
      read() {
        setImmediate(() => this.push(Buffer.alloc(10)));
      },
    });
    await expect(client.classify(endless, { deadlineMs: 20 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect(endless.destroyed).toBe(true);
  });

  it('says which element of an array was bad', async () => {
    const inputs = [first.bytes, await truncatedJpeg(), first.bytes];
    await expect(client.classify(inputs)).rejects.toMatchObject({
      index: 1,
      code: 'INVALID_ARGUMENT',
    });
  });

  it('harms no other call', async () => {
    const bad = await truncatedJpeg();
    const calls = Array.from({ length: 60 }, (_, i) =>
      client.classify(i % 3 === 0 ? bad : first.bytes),
    );
    const outcomes = await Promise.allSettled(calls);
    outcomes.forEach((outcome, i) => {
      expect(outcome.status).toBe(i % 3 === 0 ? 'rejected' : 'fulfilled');
    });
  });

  it.each([0, 1.5, -1, 1001])('refuses topK %d', async (topK) => {
    await expect(client.classify(first.path, { topK })).rejects.toThrow(/topK is/);
    await expect(client.classify([], { topK })).rejects.toThrow(/topK is/);
  });

  it('refuses a model that is missing, or that takes no images', async () => {
    await expect(client.classify(first.path, { model: 'nope' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('there are: glyphs, mlp') as string,
    });
  });
});

describe.each(ways)('call options %s', (_way, open) => {
  useWay(open);

  it('rejects with the reason of the signal, before and during the call', async () => {
    await expect(
      client.classify(first.path, { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ name: 'AbortError' });
    const controller = new AbortController();
    const calls = Array.from({ length: 20 }, () =>
      client.classify(first.path, { signal: controller.signal }),
    );
    controller.abort(new Error('changed my mind'));
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'changed my mind' } });
    }
    await expect(client.classify(first.path)).resolves.toBeDefined();
  });

  it('takes one signal for any number of calls', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    const { signal } = new AbortController();
    await client.classify(Array<string>(40).fill(first.path), { signal });
    await new Promise(setImmediate);
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  it('counts the deadline of an array for the whole array', async () => {
    const images = Array<string>(20_000).fill(first.path);
    await expect(client.classify(images, { deadlineMs: 100 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
  });

  it('fails DEADLINE_EXCEEDED past the deadline', async () => {
    await expect(client.classify(first.path, { deadlineMs: 0 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await expect(client.classify(first.path, { deadlineMs: 60_000 })).resolves.toBeDefined();
  });

  it.each([
    [{ deadlineMs: -1 }, 'INVALID_ARGUMENT', /deadlineMs is -1/],
    [{ deadlineMs: NaN }, 'INVALID_ARGUMENT', /deadlineMs is NaN/],
    [{ priority: 0.5 }, 'INVALID_ARGUMENT', /priority is 0.5/],
    [
      { deadlineMs: '5000' as unknown as number },
      'INVALID_ARGUMENT',
      /deadlineMs is '5000'; give a number/,
    ],
    [{ device: 5 as unknown as string }, 'INVALID_ARGUMENT', /device is 5; give the id/],
    [{ signal: {} as AbortSignal }, 'INVALID_ARGUMENT', /signal is {}; give an AbortSignal/],
    [
      { device: 'cpu-falback' },
      'NOT_FOUND',
      /no device 'cpu-falback'; give one of .*host:0, .*cpu-fallback:0/,
    ],
    [{ device: 'gpu', strict: true }, 'UNAVAILABLE', /no gpu here/],
    [{ device: 'HOST', strict: true }, 'UNAVAILABLE', /cannot run on '.*host:0'/],
    [{ strict: true }, 'INVALID_ARGUMENT', /'strict' needs 'device'/],
  ] as const)('refuses %j', async (options, code, message) => {
    const host = 'device' in options && options.device === 'HOST';
    const its = host ? { ...options, device: `${way.prefix}host:0` } : options;
    const error = await client.classify(first.path, its).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toMatch(message);
  });

  it('runs elsewhere when the preferred kind is not there, and says so', async () => {
    expect((await client.classify(first.path, { device: 'gpu' })).device).toBe(device);
    expect((await client.classify(first.path, { device: 'cpu', strict: true })).device).toBe(
      device,
    );
  });
});

describe('a client', () => {
  useWay(inProcess);

  it('lists devices and models', async () => {
    const { devices } = await client.devices();
    expect(devices.map(({ id }) => id).sort()).toEqual([device, 'host:0']);
    const cpu = devices.find(({ id }) => id === device);
    expect(cpu?.ops).toEqual(
      expect.arrayContaining(['infer', 'compress', 'decompress', 'classify[preprocess..topk]']),
    );
    expect(cpu).toMatchObject({ kind: 'CPU', emulated: false, health: 'OK' });
    expect(await unavailableBesidesCards(client)).toEqual([]);
    const models = await client.models();
    expect(models.map(({ name, labels, problem }) => [name, labels, problem])).toEqual([
      ['glyphs', 34, undefined],
      ['mlp', 34, undefined],
    ]);
  });

  it('loads a model ahead', async () => {
    await using other = await connect();
    await other.prefetch('glyphs');
    await expect(other.prefetch('nope')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('aborts its calls when it is closed, and takes no more', async () => {
    const other = await connect();
    const calls = Array.from({ length: 10 }, () => other.classify(first.path));
    const outcomes = Promise.allSettled(calls);
    await other.close();
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ code: 'CANCELLED' });
    }
    await expect(other.classify(first.path)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await other.close();
  });

  it('keeps to its limits', async () => {
    await using small = await connect({ limits: { imageBytesMax: 10, callsInFlightMax: 2 } });
    await expect(small.classify(first.bytes)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryable: false,
    });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => small.classify(first.path)));
    expect(outcomes.map((o) => (o.status === 'rejected' ? String(o.reason) : ''))[2]).toMatch(
      /2 calls of this client/,
    );
  });

  it('refuses a URL that it does not understand', async () => {
    await expect(connect('gopher://127.0.0.1')).rejects.toThrow(/URLs start with local:/);
    await expect(connect('axle://a:secret@127.0.0.1:99999')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        /^cannot connect to 'axle:\/\/127.0.0.1:99999' .* port is wrong; ports go up to 65535/,
      ) as string,
    });
  });

  it('describes one model, by name and by path', async () => {
    const byName = await client.model('mlp');
    expect(byName).toMatchObject({ name: 'mlp', labels: 34, inputs: [{ name: 'image' }] });
    expect(await client.model(`${byName.path}/`)).toEqual(byName);
    await expect(client.model('nope')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('explains how an op would run, by what it measured', async () => {
    await using other = await connect();
    const before = await other.explain('classify');
    expect(before).toMatchObject({ op: 'classify', model: 'glyphs', passedOver: [] });
    const [best, next] = before.plans;
    expect(best?.device).toBe(device);
    expect(best?.steps.map(({ step, measured }) => [step, measured])).toEqual([
      ['decode', false],
      ['preprocess..topk', false],
    ]);
    expect(best?.expectedMs).toBeLessThanOrEqual(next?.expectedMs ?? 0);
    expect(best?.steps.reduce((sum, { totalMs }) => sum + totalMs, 0)).toBeCloseTo(
      best?.expectedMs ?? NaN,
    );
    await other.classify(first.path);
    const [after] = (await other.explain('classify')).plans;
    expect(after?.steps.map(({ measured, loadMs }) => [measured, loadMs])).toEqual([
      [true, 0],
      [true, 0],
    ]);
    expect((await other.explain('compress')).plans[0]?.steps).toHaveLength(1);
    const refusals: readonly [Promise<unknown>, string, RegExp][] = [
      [other.explain('infer'), 'INVALID_ARGUMENT', /option model/],
      [other.explain('nope'), 'NOT_FOUND', /give classify, infer, compress, decompress/],
      [other.explain('a/b'), 'NOT_FOUND', /no device here offers the op 'a\/b'/],
      [other.explain('classify', { device: 'gpu', strict: true }), 'UNAVAILABLE', /no gpu here/i],
    ];
    for (const [call, code, message] of refusals) {
      await expect(call).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message) as string,
      });
    }
  });

  it('lists a plugin that is given twice as unavailable, and works on', async () => {
    const { plugin } = await import('@axle/plugin-cpu-fallback');
    await using other = await connect({ plugins: [plugin] });
    const { devices } = await other.devices();
    expect(devices.filter(({ backend }) => backend === 'cpu-fallback')).toHaveLength(1);
    expect(await unavailableBesidesCards(other)).toEqual([
      { backend: 'cpu-fallback', reason: expect.stringMatching(/already/) as string },
    ]);
    expect((await other.classify(first.path)).results[0]?.label).toBe(first.label);
  });

  it('names what plain JavaScript got wrong', async () => {
    // As a caller without types would write it.
    const plain = client as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    const open = connect as unknown as (...args: unknown[]) => Promise<unknown>;
    const calls: readonly [() => Promise<unknown> | undefined, RegExp][] = [
      [() => plain['classify']?.(first.path, null), /options is null; give an object/],
      [() => plain['classify']?.(first.path, { model: 5 }), /model is 5; give a name/],
      [
        () => plain['classify']?.(first.path, { topk: 3 }),
        /no option 'topk'; this call has .*topK/,
      ],
      [() => plain['classify']?.(''), /the path of the image is empty; give the path of a file/],
      [() => plain['infer']?.('mlp', {}, { deadlineMS: 3 }), /no option 'deadlineMS'/],
      [() => plain['run']?.('a/b', {}, { arg: {} }), /no option 'arg'; this call has .*args/],
      [() => plain['compress']?.(first.bytes, { levels: 3 }), /no option 'levels'/],
      [() => plain['decompress']?.([first.bytes], { level: 3 }), /no option 'level'/],
      [() => plain['prefetch']?.('mlp', { model: 'mlp' }), /no option 'model'/],
      [() => plain['explain']?.('compress', { codec: 'zstd' }), /no option 'codec'/],
      [async () => plain['compressStream']?.({ outputBytesMax: 3 }), /no option 'outputBytesMax'/],
      [async () => plain['decompressStream']?.({ level: 3 }), /no option 'level'/],
      [() => plain['infer']?.(null, {}), /model is null/],
      [() => plain['infer']?.('mlp', null), /inputs of model 'mlp' are null/],
      [
        () => plain['infer']?.('mlp', { image: 5 }),
        /input 'image' of model 'mlp' is 5; give a Tensor/,
      ],
      [() => plain['infer']?.('mlp', { image: null }), /input 'image' of model 'mlp' is null/],
      [() => plain['classify']?.(first.path, { topK: Symbol('x') }), /topK is Symbol\(x\)/],
      [() => plain['classify']?.(new URL('file://host/x')), /file:\/\/host\/x/],
      [() => plain['model']?.(new URL('file:///a%2Fb')), /file:\/\/\/a%2Fb/],
      [() => plain['decompress']?.(first.path, { outputBytesMax: NaN }), /outputBytesMax is NaN/],
      [() => open({ limits: 5 }), /'limits' is 5/],
      [
        () => Promise.resolve().then(() => Tensor.fromBytes('FP32', undefined as never, [1])),
        /given as Uint8Arrays/,
      ],
      [() => plain['compress']?.(first.path, { codec: 5 }), /no codec 5/],
      [() => plain['compress']?.(first.path, 'zstd'), /options is 'zstd'/],
      [() => open(null), /cannot connect with null/],
      [
        () => open({ limits: { imageBytes: 1 } }),
        /no limit 'imageBytes'; there are: imageBytesMax/,
      ],
      [() => open({ limits: { imageBytesMax: -1 } }), /imageBytesMax is -1; give a whole number/],
      [() => open({ models: 5 }), /'models' is a folder/],
      [() => open({ plugins: [5] }), /one of 'plugins' is 5; give {name, path, options}/],
      [() => open({ plugins: [{ name: 1, path: 2 }] }), /'name' of one of 'plugins' is 1; give/],
      [() => open({ plugins: [{ name: 'x', path: 2 }] }), /'path' of the plugin 'x' is 2; give/],
      [
        () => open({ plugins: [{ name: 'x', path: '/x', options: null }] }),
        /'options' of the plugin 'x' is null; give an object/,
      ],
      [
        () => open({ plugins: [{ name: 'x', path: '/x', options: { threads: 2 } }] }),
        /option 'threads' of the plugin 'x' is 2; give a string/,
      ],
      [
        () => open({ plugins: [{ name: 'x', path: '/x', option: {} }] }),
        /no option 'option'; the plugin 'x' has name, path, options, device/,
      ],
      ...[-1, 1.5, 'x', null].map((device): (typeof calls)[number] => [
        () => open({ plugins: [{ name: 'x', path: '/x', device }] }),
        /'device' of the plugin 'x' is .*; give the number/,
      ]),
      [() => open({ modells: '/x' }), /no option 'modells'; connect has models, plugins/],
      [() => open({ tls: { cA: '/x' } }), /no option 'cA'; 'tls' has ca, cert/],
      [() => open({ tls: 5 }), /'tls' is 5; give an object/],
      [() => open({ reconnect: { timeout: 5 } }), /no option 'timeout'; 'reconnect' has timeoutMs/],
      [() => open({ limits: { imageBytesMax: '5' } }), /imageBytesMax is '5'; give a whole/],
    ];
    for (const [call, message] of calls) {
      const error = await call()?.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(AxleError);
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
      expect((error as AxleError).message).toMatch(message);
    }
  });
});

function floatsOver(bytes: Buffer): Float32Array {
  // Whole floats: an image may be followed by padding.
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return new Float32Array(padded.buffer);
}

async function truncatedJpeg(): Promise<Buffer> {
  const jpeg = await sharp(first.bytes).resize(256, 256).jpeg().toBuffer();
  return jpeg.subarray(0, jpeg.length / 2);
}
