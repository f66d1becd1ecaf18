import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { runProgram } from '../guest/run-program.js';
import { serveUnix } from '../e2e/serve.js';
import { buildTests, run } from '../wire/c-build.mjs';
import { functionSeeds } from '../wire/function-seeds.mjs';
import { clientSeeds, wireSeeds } from '../wire/seeds.mjs';
import { bytesOf, readVectors } from '../wire/vectors.js';

function linesOf(seeds: readonly Buffer[]): string {
  return seeds.map((seed) => `${seed.toString('hex')}\n`).join('');
}

describe('under sanitizers', () => {
  let build = '';
  beforeAll(() => {
    build = buildTests('asan', [
      '-DAXLE_SANITIZE=address;undefined',
      '-DCMAKE_C_FLAGS_RELEASE=-O1',
    ]);
  });

  it('the wire codec in C survives its vectors and a million changed ones', () => {
    const lines = readVectors().map((each) => `${each.from} ${bytesOf(each).toString('hex')}`);
    const answers = run(join(build, 'wire_vectors'), [], `${lines.join('\n')}\n`);
    expect(answers.trimEnd().split('\n')).toHaveLength(lines.length);
    run(join(build, 'wire_writer'), []);
    const said = run(join(build, 'blind_wire'), ['1000000', '1'], linesOf(wireSeeds()));
    expect(said).toContain('1000000 mutated inputs');
  });

  it('the C client survives servers that say anything', () => {
    const said = run(join(build, 'blind_client'), ['50000', '1'], linesOf(clientSeeds()));
    expect(said).toContain('50000 mutated inputs');
  });

  it('a function in C survives hosts that say anything', () => {
    const said = run(join(build, 'blind_function'), ['200000', '1'], linesOf(functionSeeds()));
    expect(said).toContain('200000 mutated inputs');
  });

  it('the C client passes every scenario', async () => {
    const server = await serveUnix('sanitized.sock');
    const place = server.endpoint.replace('axle+', '');
    const { output } = await runProgram([join(build, 'axle_conformance'), place]);
    expect(output).toMatch(/^PASS \d+ passed, 0 failed$/m);
  });
});
