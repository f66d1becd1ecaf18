import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { beforeAll, describe, expect, it } from 'vitest';

import { hugePng, sampleImages, type Sample } from '../../test/e2e/images.js';
import { addModel } from '../../test/onnx-model.mjs';
import { runCli, temporaryFolder } from './run-cli.js';

interface JsonElement {
  readonly file: string;
  readonly model: string;
  readonly device: string;
  readonly results: readonly { label: string; index: number; score: number }[];
  readonly timingMs: Readonly<Record<string, number>>;
  readonly error?: { readonly code: string; readonly message: string };
}

let samples: readonly Sample[];
beforeAll(async () => {
  samples = await sampleImages();
  expect(samples.length).toBeGreaterThan(0);
});

function parse(stdout: Buffer): JsonElement[] {
  return JSON.parse(stdout.toString()) as JsonElement[];
}

describe('classify', () => {
  it('names what is in the samples, one line each in the order given', async () => {
    const files = samples.map(({ path }) => path);
    const { code, stdout, stderr } = await runCli(['classify', ...files]);
    expect([code, stderr]).toEqual([0, '']);
    const lines = stdout.toString().trimEnd().split('\n');
    expect(lines).toHaveLength(files.length);
    lines.forEach((line, i) => {
      expect(line).toMatch(/^.+: \S+ [01]\.\d{4}$/);
      expect(line.startsWith(`${files[i]}: ${samples[i]?.label} `)).toBe(true);
    });
  });

  it('gives the best K labels, best first', async () => {
    const { stdout } = await runCli(['classify', '--top', '3', samples[0]?.path ?? '']);
    const [first, ...rest] = stdout.toString().trimEnd().split('\n');
    expect(first).toBe(`${samples[0]?.path}:`);
    expect(rest).toHaveLength(3);
    const scores = rest.map((line) => Number(/^ {2}\S+ ([01]\.\d{4})$/.exec(line)?.[1]));
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  });

  it('prints one JSON array', async () => {
    const files = samples.map(({ path }) => path);
    const { code, stdout } = await runCli(['classify', '--json', '--top', '2', ...files]);
    expect(code).toBe(0);
    const elements = parse(stdout);
    expect(elements.map(({ file }) => file)).toEqual(files);
    elements.forEach((element, i) => {
      expect(Object.keys(element)).toEqual(['file', 'model', 'device', 'results', 'timingMs']);
      expect(element.model).toMatch(/^glyphs/);
      expect(element.device).toBe('cpu-fallback:0');
      expect(element.results).toHaveLength(2);
      expect(element.results[0]?.label).toBe(samples[i]?.label);
      expect(Object.keys(element.timingMs).sort()).toEqual([
        'compute',
        'queue',
        'total',
        'transfer',
      ]);
    });
  });

  it('reads standard input, and takes another model', async () => {
    const [sample] = samples as [Sample];
    const args = ['classify', '--json', '--model', 'mlp', '-'];
    const { code, stdout } = await runCli(args, { input: sample.bytes });
    expect(code).toBe(0);
    expect(parse(stdout)).toMatchObject([{ file: '-', results: [{ label: sample.label }] }]);
    expect(parse(stdout)[0]?.model).toMatch(/^mlp/);
  });

  it('works through more images than it holds at once', async () => {
    const files = Array.from({ length: 100 }, (_, i) => samples[i % samples.length]?.path ?? '');
    const { code, stdout, stderr } = await runCli(['classify', '--json', ...files]);
    expect([code, stderr]).toEqual([0, '']);
    expect(parse(stdout).map(({ results }) => results[0]?.label)).toEqual(
      files.map((file) => basename(file).charAt(0)),
    );
  });
});

describe('classify with bad images among good ones', () => {
  function badImages(): { folder: string; files: string[] } {
    const folder = temporaryFolder();
    const [sample] = samples as [Sample];
    const jpeg = samples.find(({ path }) => /\.jpe?g$/.test(path)) ?? sample;
    mkdirSync(join(folder, 'folder.png'));
    const contents: Readonly<Record<string, Uint8Array>> = {
      'cut.jpg': jpeg.bytes.subarray(0, jpeg.bytes.length / 2),
      'huge.png': hugePng(50_000, 20_000),
      'text.png': Buffer.from('this is no image'),
      'empty.png': Buffer.alloc(0),
    };
    for (const [name, data] of Object.entries(contents)) writeFileSync(join(folder, name), data);
    return { folder, files: [...Object.keys(contents), 'folder.png', 'missing.png'] };
  }

  it('still names the good ones, says what is wrong with the others, and exits with 1', async () => {
    const { folder, files } = badImages();
    const good = samples[0]?.path ?? '';
    const args = ['classify', ...files.flatMap((file) => [file, good])];
    const { code, stdout, stderr } = await runCli(args, { cwd: folder });
    expect(code).toBe(1);
    expect(stdout.toString().trimEnd().split('\n')).toHaveLength(files.length);
    const errors = stderr.trimEnd().split('\n');
    expect(errors).toHaveLength(files.length);
    errors.forEach((line, i) => expect(line.startsWith(`axle: ${files[i]}`)).toBe(true));
    expect(errors[1]).toMatch(/pixels/);
    expect(errors[4]).toBe('axle: folder.png is a directory; give a file');
    expect(errors[5]).toBe('axle: missing.png: no such file or directory');
  });

  it('says so in JSON, still one array', async () => {
    const { folder, files } = badImages();
    const good = samples[0]?.path ?? '';
    const { code, stdout } = await runCli(['classify', '--json', ...files, good], { cwd: folder });
    expect(code).toBe(1);
    const elements = parse(stdout);
    expect(elements.map(({ file }) => file)).toEqual([...files, good]);
    expect(elements.map(({ error }) => error?.code)).toEqual([
      'INVALID_ARGUMENT',
      'RESOURCE_EXHAUSTED',
      'INVALID_ARGUMENT',
      'INVALID_ARGUMENT',
      'INVALID_ARGUMENT',
      'NOT_FOUND',
      undefined,
    ]);
    expect(elements.at(-1)?.results[0]?.label).toBe(samples[0]?.label);
  });
});

describe('classify with a bad model', () => {
  it.each([
    ['that is not there', 'no-such-model', /no model 'no-such-model'.*glyphs/],
    ['file that is not there', './none.onnx', /none\.onnx/],
    ['that is damaged', './damaged.onnx', /damaged\.onnx/],
    ['that is no classifier', './add.onnx', /cannot classify/],
  ])('%s fails in one line, however many images there are', async (_what, model, message) => {
    const folder = temporaryFolder();
    const add = addModel([2], { data: Float32Array.of(1, 2) });
    writeFileSync(join(folder, 'add.onnx'), add);
    writeFileSync(join(folder, 'damaged.onnx'), add.subarray(0, 60));
    const path = samples[0]?.path ?? '';
    const args = ['classify', '--model', model, path, path, path];
    const { code, stdout, stderr } = await runCli(args, { cwd: folder });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^axle: [^\n]+\n$/);
    expect(stdout.toString()).toBe('');
    expect(code).toBe(1);
  });

  it('says which devices there are when the one asked for is not', async () => {
    const path = samples[0]?.path ?? '';
    const args = ['classify', '--device', 'nonesuch', '--strict', path, path];
    const { code, stderr } = await runCli(args);
    expect(stderr).toMatch(/^axle: .*nonesuch[^\n]*\n$/);
    expect(code).toBe(1);
  });
});

describe('axle devices and models', () => {
  it('list devices', async () => {
    const table = await runCli(['devices']);
    expect(table.code).toBe(0);
    expect(table.stdout.toString()).toMatch(/^ID +KIND +NAME +OPS +HEALTH\n/);
    expect(table.stdout.toString()).toMatch(/^cpu-fallback:0 +CPU .*compress.* OK$/m);
    const { stdout } = await runCli(['devices', '--json']);
    const report = JSON.parse(stdout.toString()) as { devices: unknown[]; unavailable: unknown[] };
    expect(report.devices).toContainEqual(
      expect.objectContaining({ id: 'cpu-fallback:0', kind: 'CPU', health: 'OK' }),
    );
    expect(report.unavailable).toBeInstanceOf(Array);
  });

  it('list devices of one more plugin, and say how they would run its op', async () => {
    const path = fileURLToPath(
      new URL('../../plugins/template/build/libaxle_template.so', import.meta.url),
    );
    const plugin = ['--plugin', `mine=${path}`];
    const { stdout } = await runCli(['devices', ...plugin]);
    expect(stdout.toString()).toMatch(/^template:0 .*example\.axle\/invert.* OK$/m);
    const explained = await runCli(['devices', '--explain', 'example.axle/invert', ...plugin]);
    expect(explained.stdout.toString()).toMatch(/template:0/);
    const gone = await runCli(['devices', '--plugin', 'mine=/nonesuch.so']);
    expect(gone.stdout.toString()).toMatch(/mine: there is no plugin at '\/nonesuch\.so'/);
  });

  it('list models, with those that cannot be used', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'broken', '1'), { recursive: true });
    writeFileSync(join(folder, 'broken', '1', 'model.onnx'), 'no model');
    const table = await runCli(['models', '--models', folder]);
    expect(table.code).toBe(0);
    expect(table.stdout.toString()).toMatch(/^NAME +VERSION +SIZE +BATCH +INPUTS/);
    expect(table.stdout.toString()).toMatch(/^mlp +1 .*image FP32\[-1,1,32,32\].* OK$/m);
    expect(table.stdout.toString()).toMatch(/^broken +1 /m);
    const { stdout } = await runCli(['models', '--json'], { env: { AXLE_MODELS: folder } });
    const models = JSON.parse(stdout.toString()) as { name: string; problem?: string }[];
    expect(models.map(({ name }) => name)).toEqual(['broken', 'glyphs', 'mlp']);
    expect(models[0]?.problem).toMatch(/./);
  });
});
