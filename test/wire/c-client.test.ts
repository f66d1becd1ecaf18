import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { GUEST_MACHINE } from '../../scripts/guests.mjs';
import { ROOT } from '../../scripts/repository.mjs';
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
/** As guests of 32 bits are built. */
const guest = [...GUEST_MACHINE, '-fno-stack-protector'];
const headers = join(ROOT, 'unikernel-glue/include/axle');

/** What a program calls: all functions of client.h, and those of wire.h that walk what the server says. */
function callable(): readonly string[] {
  const text = ['client.h', 'wire.h'].map((name) => readFileSync(join(headers, name), 'utf8'));
  const found = text.join('').matchAll(/^(?:int|int32_t|uint32_t|void) (\w+)\(/gm);
  const names = Array.from(found, ([, name = '']) => name);
  return names.filter((name) => /^axle_(client|wire_next)_/.test(name));
}

/** Bytes of machine code, and of tables and texts, in a bare program that calls all of `names` and has nothing else. */
function linkedBytes(
  names: readonly string[],
  options: readonly string[],
): { code: number; data: number } {
  const program = join(folder, 'size');
  const sections = ['-ffunction-sections', '-fdata-sections', '-fno-pie', '-no-pie', '-static'];
  const roots = [
    '-Wl,--gc-sections',
    '-Wl,-e,axle_client_init',
    ...names.map((n) => `-Wl,-u,${n}`),
  ];
  const all = [...language, ...plain, ...options, '-Os', ...sections, ...roots];
  run('gcc', [...all, ...clientSources, '-o', program]);
  const sizes = run('size', ['-A', program]);
  const of = (section: string): number =>
    Number(new RegExp(`^\\.${section}\\s+(\\d+)`, 'm').exec(sizes)?.[1] ?? 0);
  return { code: of('text'), data: of('rodata') };
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
    const names = ['client', 'posix', 'virtio_console'];
    const source = names.map((name) => `#include <axle/${name}.h>\n`).join('');
    run('g++', [...args, '-x', 'c++', '-'], source);
  });

  it('has a wrapper for C++ that needs no exceptions, no RTTI and no library', () => {
    const source = `#include <axle/client.hpp>
      template class axle::span<float>;
      template class axle::result<double>;
      void stop(axle::client &client) { axle::request request{client}; request.reset(); }`;
    const object = join(folder, 'wrapper.o');
    const args = ['-std=c++17', '-ffreestanding', '-fno-exceptions', '-fno-rtti', '-Iinclude'];
    const all = [...args, ...warnings, '-O1', '-x', 'c++', '-c', '-', '-o', object];
    run('g++', all, source);
    const missing = run('nm', ['--undefined-only', object]).match(/\S+$/gm) ?? [];
    expect(
      missing.filter((name) => !/^(axle_|memcpy$|memset$|_GLOBAL_OFFSET_TABLE_)/.test(name)),
    ).toEqual([]);
  });

  it.each([
    ['64 bits', [], 16 * 1024, 5.5 * 1024],
    ['32 bits', guest, 16 * 1024, 5 * 1024],
  ])('is small on a machine of %s, all of it', (name, options, codeMax, dataMax) => {
    const names = callable();
    expect(names).toContain('axle_client_call');
    expect(names.length).toBeGreaterThan(20);
    const { code, data } = linkedBytes(names, options);
    console.log(`-Os, ${name}: ${code} bytes of code, ${data} of tables and texts`);
    expect(code).toBeGreaterThan(8 * 1024);
    expect(code).toBeLessThanOrEqual(codeMax);
    expect(data).toBeLessThanOrEqual(dataMax);
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
