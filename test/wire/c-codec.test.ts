import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ArgType, DataType, DeviceKind, ErrorCode, HealthState } from '@axle/core';
import { Credential, FrameType, SpecRole, TensorSource, WireErrorId } from '@axle/remoting';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { bytesOf, readVectors, type Vector } from './vectors.js';
import { buildTests, run } from './c-build.mjs';

/** Where vectors have a name, C has its number. */
const idsOfKey: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  type: { ...ArgType, ...FrameType },
  argType: ArgType,
  dtype: DataType,
  source: TensorSource,
  credential: Credential,
  code: ErrorCode,
  state: HealthState,
  health: HealthState,
  kind: DeviceKind,
  role: SpecRole,
};

function withNumbers(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((each) => withNumbers(each));
  if (typeof value === 'string') return idsOfKey[key]?.[value] ?? value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, withNumbers(each, name)]),
  );
}

const vectors = readVectors();
let answers: unknown[] = [];
let build = '';

beforeAll(() => {
  build = buildTests('test');
  const lines = vectors.map((vector) => `${vector.from} ${bytesOf(vector).toString('hex')}\n`);
  const output = run(join(build, 'wire_vectors'), [], lines.join(''));
  answers = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
});

describe('the C codec', () => {
  it('answers to every test vector', () => {
    expect(answers).toHaveLength(vectors.length);
  });

  it.each(vectors.map((vector, index): [string, Vector, number] => [vector.name, vector, index]))(
    '%s',
    (_, { frame, error }, index) => {
      const expected =
        error === undefined
          ? withNumbers(frame)
          : { error: WireErrorId[error as keyof typeof WireErrorId] };
      expect(answers[index]).toEqual(expected);
    },
  );
});

describe('the C codec on its own', () => {
  it('refuses to write what the other side would refuse', () => {
    run(join(build, 'wire_writer'), []);
  });

  const folder = mkdtempSync(join(tmpdir(), 'axle-wire-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const sources = ['src/memory.c', 'src/wire_layout.c', 'src/wire_read.c', 'src/wire_write.c'];
  const guest = ['-m32', '-march=i686', '-fno-pic', '-mno-sse', '-fno-stack-protector'];

  it.each([
    ['-O0', []],
    ['-O3', []],
    ['-Os', []],
    ['-Os for a guest of 32 bits', guest],
  ])('needs nothing from outside at %s', (level, options) => {
    const object = join(folder, 'wire.o');
    const warnings = ['-Wall', '-Wextra', '-Wconversion', '-Wpedantic', '-Werror'];
    const language = ['-std=c11', '-Iinclude', '-ffreestanding', '-nostdlib', '-r'];
    const [optimize = ''] = level.split(' ');
    run('gcc', [...language, ...warnings, ...options, optimize, ...sources, '-o', object]);
    expect(run('nm', ['--undefined-only', object])).toBe('');
  });

  it('has a header for C++', () => {
    const args = ['-std=c++17', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-Iinclude'];
    run('g++', [...args, '-x', 'c++', '-'], '#include <axle/wire.h>\n');
  });
});
