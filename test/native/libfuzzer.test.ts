import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { hasLibFuzzer, nativeTargets } from '../fuzz/native-targets.mjs';

const main = join(import.meta.dirname, '../fuzz/main.mjs');

describe.skipIf(!hasLibFuzzer())('libFuzzer', () => {
  it.each([...nativeTargets.keys()])('finds nothing in %s', (name) => {
    const args = [main, name, '--seconds', '3', '--seed', '1'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });
    expect(status, `${stdout}${stderr}`.slice(-4000)).toBe(0);
    expect(Number(/number_of_executed_units: (\d+)/.exec(stdout + stderr)?.[1])).toBeGreaterThan(
      50,
    );
  });
});
