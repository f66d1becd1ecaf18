import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { addModel, onnxModel } from '../../test/onnx-model.mjs';
import { readNpy, writeNpy } from '../src/npy.js';
import { runCli, temporaryFolder } from './run-cli.js';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
  // y = x + [10, 20], in a repository and as a file of its own.
  mkdirSync(join(folder, 'models', 'add', '1'), { recursive: true });
  const add = addModel([2], { data: Float32Array.of(10, 20) });
  writeFileSync(join(folder, 'models', 'add', '1', 'model.onnx'), add);
  writeFileSync(join(folder, 'add.onnx'), add);
  save('x.npy', writeNpy({ dtype: 'FP32', shape: [2, 2], bytes: floats(1, 2, 3, 4) }));
});

function save(name: string, data: string | Uint8Array): void {
  writeFileSync(join(folder, name), data);
}

function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

function infer(model: string, ...args: string[]) {
  return runCli(['infer', model, '--models', 'models', ...args], { cwd: folder });
}

interface InferJson {
  readonly model: string;
  readonly device: string;
  readonly outputs: Readonly<
    Record<string, { dtype: string; shape: number[]; data?: unknown; file?: string }>
  >;
}

/** One input x and one output y of a type that the model passes on. */
function identity(elementType: number, output = 'y'): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', shape: ['n'], elementType }],
    outputs: [{ name: output, shape: ['n'], elementType }],
    nodes: [['Identity', ['x'], [output]]],
  });
}

describe('infer', () => {
  it('prints a summary', async () => {
    const { code, stdout, stderr } = await infer('add', '--input', 'x=x.npy');
    expect([code, stderr]).toEqual([0, '']);
    const [heading, header, row] = stdout.toString().split('\n');
    expect(heading).toMatch(/^add\S* on cpu-fallback:0, \S+ m?s$/);
    expect(header).toMatch(/^OUTPUT +DTYPE +SHAPE +VALUES$/);
    expect(row).toMatch(/^y +FP32 +\[2,2\] +11 22 13 24$/);
  });

  it('sums up a long output by its first elements and the largest', async () => {
    save(
      'long.npy',
      writeNpy({ dtype: 'FP32', shape: [5, 2], bytes: floats(...Array(10).keys()) }),
    );
    const { stdout } = await infer('add', '--input', 'x=long.npy');
    expect(stdout.toString()).toMatch(
      /^y +FP32 +\[5,2\] +10 21 12 23 14 25 16 27 \.\.\. \(10, largest 29 at 9\)$/m,
    );
  });

  it('prints whole arrays with --json', async () => {
    const { stdout } = await infer('add', '--json', '--input', 'x=x.npy');
    const report = JSON.parse(stdout.toString()) as InferJson;
    expect(report).toMatchObject({
      device: 'cpu-fallback:0',
      outputs: {
        y: {
          dtype: 'FP32',
          shape: [2, 2],
          data: [
            [11, 22],
            [13, 24],
          ],
        },
      },
    });
  });

  it('writes each output to a file with --output, and again over it', async () => {
    for (let i = 0; i < 2; i += 1) {
      const { code, stdout } = await infer('add', '--input', 'x=x.npy', '--output', 'out/deep');
      expect(code).toBe(0);
      expect(stdout.toString()).toMatch(/^y +FP32 +\[2,2\] +out\/deep\/y\.npy$/m);
    }
    expect(readdirSync(join(folder, 'out', 'deep'))).toEqual(['y.npy']);
    const read = readNpy(readFileSync(join(folder, 'out', 'deep', 'y.npy')));
    expect(read).toMatchObject({ dtype: 'FP32', shape: [2, 2] });
    expect('bytes' in read && Buffer.from(read.bytes)).toEqual(Buffer.from(floats(11, 22, 13, 24)));
  });

  it('takes JSON of the type that a model of the repository declares', async () => {
    mkdirSync(join(folder, 'models', 'ints', '1'), { recursive: true });
    save('models/ints/1/model.onnx', identity(7));
    save('x.json', '[1, -2, "9223372036854775807"]');
    const { stdout } = await infer('ints', '--json', '--input', 'x=x.json');
    expect((JSON.parse(stdout.toString()) as InferJson).outputs['y']).toEqual({
      dtype: 'INT64',
      shape: [3],
      data: [1, -2, '9223372036854775807'],
    });
  });

  it('takes JSON that says its type for a model by its path', async () => {
    save('ints.onnx', identity(6));
    save('x.json', '{"datatype": "INT32", "data": [1, 2]}');
    const { stdout } = await infer('./ints.onnx', '--json', '--input', 'x=x.json');
    expect((JSON.parse(stdout.toString()) as InferJson).outputs['y']?.data).toEqual([1, 2]);
  });

  it('writes strings as JSON, and names that are no file names safely', async () => {
    save('text.onnx', identity(8, '../head/Softmax:0'));
    save('x.json', '["a", "längere Zeichenkette"]');
    const { code } = await infer('./text.onnx', '--input', 'x=x.json', '--output', 'out');
    expect(code).toBe(0);
    const [file = ''] = readdirSync(join(folder, 'out'));
    expect(file).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]*\.json$/);
    expect(readFileSync(join(folder, 'out', file), 'utf8')).toBe('["a","längere Zeichenkette"]\n');
    expect(readdirSync(folder).filter((name) => name.endsWith('Softmax_0.json'))).toEqual([]);
  });

  it('widens bfloat16, which numpy lacks', async () => {
    save('bf16.onnx', identity(16));
    save('x.json', '{"datatype": "BF16", "data": [1.5, -2]}');
    await infer('./bf16.onnx', '--input', 'x=x.json', '--output', 'out');
    const read = readNpy(readFileSync(join(folder, 'out', 'y.npy')));
    expect(read.dtype).toBe('FP32');
    expect('bytes' in read && Buffer.from(read.bytes)).toEqual(Buffer.from(floats(1.5, -2)));
  });
});

describe('infer with bad input', () => {
  const npy = (dtype: 'FP32' | 'INT32', ...shape: number[]) =>
    writeNpy({ dtype, shape, bytes: new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)) });

  it.each<[string, string[], RegExp]>([
    ['a wrong name', ['z=x.npy'], /'z'.*x/],
    ['a missing input', ['z=x.npy'], /x/],
    ['a wrong shape', ['x=shape.npy'], /'x'.*\[(-1|any), 2\].*\[1, 3\]/],
    ['a wrong type', ['x=type.npy'], /'x'.*FP32.*INT32/],
    ['a file that is not there', ['x=none.npy'], /^axle: none\.npy: no such file or directory$/],
    ['a folder', ['x=folder.npy'], /folder\.npy is a directory/],
    ['a cut file', ['x=cut.npy'], /cut\.npy: the \.npy file is damaged.*16 bytes, the file has 10/],
    ['a file of another format', ['x=text.npy'], /text\.npy: it is no \.npy file/],
    ['damaged JSON', ['x=bad.json'], /bad\.json: it is no JSON/],
    ['uneven JSON', ['x=uneven.json'], /uneven\.json: the arrays .* differ in length/],
    ['JSON of another type', ['x=text.json'], /text\.json: "a" does not fit: FP32/],
  ])('refuses %s in one line', async (_what, inputs, message) => {
    save('shape.npy', npy('FP32', 1, 3));
    save('type.npy', npy('INT32', 1, 2));
    save('cut.npy', npy('FP32', 2, 2).subarray(0, 138));
    save('text.npy', 'some text');
    save('bad.json', '[1, 2');
    save('uneven.json', '[[1, 2], [3]]');
    save('text.json', '[["a", "b"]]');
    mkdirSync(join(folder, 'folder.npy'));
    const args = inputs.flatMap((input) => ['--input', input]);
    const { code, stdout, stderr } = await infer('add', ...args, '--output', 'out');
    expect(stderr.trimEnd()).toMatch(message);
    expect(stderr).toMatch(/^axle: [^\n]+\n$/);
    expect([code, stdout.toString()]).toEqual([1, '']);
    expect(readdirSync(folder)).not.toContain('out');
  });

  it('refuses a model that is not there or damaged', async () => {
    const missing = await infer('nonesuch', '--input', 'x=x.npy');
    expect(missing.stderr).toMatch(/^axle: no model 'nonesuch'.*add[^\n]*\n$/);
    expect(missing.code).toBe(1);
    save('damaged.onnx', readFileSync(join(folder, 'add.onnx')).subarray(0, 60));
    const damaged = await infer('./damaged.onnx', '--input', 'x=x.npy');
    expect(damaged.stderr).toMatch(/^axle: [^\n]*damaged\.onnx[^\n]*\n$/);
    expect(damaged.code).toBe(1);
  });
});
