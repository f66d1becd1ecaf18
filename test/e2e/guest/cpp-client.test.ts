import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { clientSources } from '../../guest/machines.mjs';
import { runProgram } from '../../guest/run-program.js';
import { run } from '../../wire/c-build.mjs';
import { serveUnix } from '../serve.js';

const sample = join(import.meta.dirname, '../../../axle/models/samples/A.png');
const build = mkdtempSync(join(tmpdir(), 'axle-cpp-'));
const program = join(build, 'classify');
let socket = '';

afterAll(() => {
  rmSync(build, { recursive: true });
});

beforeAll(async () => {
  const warnings = ['-Wall', '-Wextra', '-Wconversion', '-Wpedantic', '-Werror'];
  const cpp = ['-std=c++17', '-fno-exceptions', '-fno-rtti', '-O1', '-Iinclude', ...warnings];
  const object = join(build, 'classify.o');
  run('g++', [...cpp, '-c', 'examples/classify.cpp', '-o', object]);
  // Linked by the compiler of C: there is no library of C++ in it.
  const c = ['-std=c11', '-O1', '-Iinclude', ...clientSources, 'posix/transport.c'];
  run('gcc', [...c, object, '-o', program]);
  socket = (await serveUnix('cpp-client.sock')).endpoint.replace('axle+unix:', '');
});

describe('the client for C++', () => {
  it('classifies, says what went wrong, and ends what goes out of scope', async () => {
    const { code, output } = await runProgram([program, socket, sample]);
    expect(output.split('\n')).toEqual([
      expect.stringMatching(/^A 0\.[5-9]/),
      'past the end: the output has no such element',
      'as doubles: its elements have another size',
      'wrong op: 12',
      'alive',
      'closed: 14 1',
      '',
    ]);
    expect(code).toBe(0);
  });

  it('says that there is no server', async () => {
    const { code } = await runProgram([program, join(build, 'nowhere.sock'), sample]);
    expect(code).toBe(1);
  });
});
