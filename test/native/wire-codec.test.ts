import { join } from 'node:path';

import { expect, it } from 'vitest';

import { buildTests, run } from '../wire/c-build.mjs';
import { wireSeeds } from '../wire/seeds.mjs';
import { bytesOf, readVectors } from '../wire/vectors.js';

it('the wire codec in C survives its vectors and a million changed ones under sanitizers', () => {
  const build = buildTests('asan', [
    '-DAXLE_SANITIZE=address;undefined',
    '-DCMAKE_C_FLAGS_RELEASE=-O1',
  ]);
  const lines = readVectors().map((vector) => `${vector.from} ${bytesOf(vector).toString('hex')}`);
  const answers = run(join(build, 'wire_vectors'), [], `${lines.join('\n')}\n`);
  expect(answers.trimEnd().split('\n')).toHaveLength(lines.length);
  run(join(build, 'wire_writer'), []);
  const seeds = wireSeeds().map((seed) => `${seed.toString('hex')}\n`);
  const said = run(join(build, 'blind_wire'), ['1000000', '1'], seeds.join(''));
  expect(said).toContain('1000000 mutated inputs');
});
