import { describe, expect, it } from 'vitest';

/**
 * Tests that some machines do not let anyone run, whatever is installed: there the reason is printed, and no test counts as
 * skipped, since nothing is missing that the machine should have had.
 *
 * @param lack why not here; undefined: they run
 */
export function describeWhere(lack: string | undefined, name: string, tests: () => void): void {
  if (lack === undefined) {
    describe(name, tests);
    return;
  }
  console.log(`not tried, ${name}: ${lack}`);
  it(`${name}: this machine lacks a right or the history, and no program`, () => {
    expect(lack).toMatch(/^(only root|the history|git says)/);
  });
}
