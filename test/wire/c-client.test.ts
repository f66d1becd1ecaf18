import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { deepestWay, readCallGraph } from '../guest/call-graph.mjs';
import { clientSources } from '../guest/machines.mjs';
import { run } from './c-build.mjs';

const folder = mkdtempSync(join(tmpdir(), 'axle-client-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const language = ['-std=c11', '-Iinclude', '-ffreestanding', '-nostdlib'];
const warnings = ['-Wall', '-Wextra', '-Wconversion', '-Wpedantic', '-Werror'];
const plain = ['-fno-asynchronous-unwind-tables', '-fno-stack-protector'];
const guest = ['-m32', '-march=i686', '-fno-pic', '-mno-sse', '-fno-stack-protector'];
const isOfClient = (source: string): boolean => source.startsWith('src/client');

/** Bytes of machine code of these files together. */
function codeBytes(sources: readonly string[], options: readonly string[]): number {
  const object = join(folder, 'size.o');
  run('gcc', [...language, ...plain, ...options, '-Os', '-r', ...sources, '-o', object]);
  const [, bytes = ''] = /^\.text\s+(\d+)/m.exec(run('size', ['-A', object])) ?? [];
  return Number(bytes);
}

describe('the C client on its own', () => {
  it.each([
    ['-O0', []],
    ['-O3', []],
    ['-Os', []],
    ['-Os for a guest of 32 bits', guest],
  ])('needs nothing from outside at %s', (level, options) => {
    const object = join(folder, 'client.o');
    const [optimize = ''] = level.split(' ');
    const args = [...language, ...warnings, ...options, optimize, '-r', ...clientSources];
    run('gcc', [...args, '-o', object]);
    expect(run('nm', ['--undefined-only', object])).toBe('');
  });

  it('has headers for C++', () => {
    const args = ['-std=c++17', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-Iinclude'];
    const headers = ['client', 'posix', 'virtio_console'];
    const source = headers.map((name) => `#include <axle/${name}.h>\n`).join('');
    run('g++', [...args, '-x', 'c++', '-'], source);
  });

  // With the wire codec it is more than the 16 KiB that we want: the codec reads and writes every frame of both sides.
  it.each([
    ['64 bits', [], 11 * 1024, 19 * 1024],
    ['32 bits', guest, 13 * 1024, 22 * 1024],
  ])('is small on a machine of %s', (name, options, clientMax, withCodecMax) => {
    const client = codeBytes(clientSources.filter(isOfClient), options);
    const withCodec = codeBytes(clientSources, options);
    console.log(`code at -Os, ${name}: client ${client}, with the wire codec ${withCodec} bytes`);
    expect(client).toBeLessThan(clientMax);
    expect(withCodec).toBeLessThan(withCodecMax);
  });

  it('takes little stack, and never comes to the same function again', () => {
    const text = clientSources.map((source) => {
      const object = join(folder, basename(source).replace('.c', '.o'));
      const args = [...language, ...plain, '-Os', '-fcallgraph-info=su', '-c', source];
      run('gcc', [...args, '-o', object]);
      return readFileSync(object.replace('.o', '.ci'), 'utf8');
    });
    const { bytes, way } = deepestWay(readCallGraph(text.join('\n')));
    console.log(`stack at -Os: ${bytes} bytes, in ${way.join(' > ')}`);
    expect(way.length).toBeGreaterThan(3);
    expect(bytes).toBeLessThan(2048);
  });
});
