import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { runCli } from './run-cli.js';

const fault = fileURLToPath(new URL('../../plugins/fault/build/libaxle_fault.so', import.meta.url));

describe('axle plugin check', () => {
  it('says pass or fail for each rule, and ends with 1 when one is broken', async () => {
    const sound = await runCli(['plugin', 'check', fault, '--rule', 'loads', '--rule', 'runs']);
    expect(sound).toMatchObject({ code: 0, stderr: '' });
    expect(sound.stdout.toString()).toMatch(/^pass +loads .*\npass +runs .*\n2 passed, 0 failed/);

    const args = ['plugin', 'check', fault, '--option', 'fault=crash', '--rule', 'runs'];
    const broken = await runCli(args);
    expect(broken.code).toBe(1);
    expect(broken.stdout.toString()).toMatch(/^fail +runs .*\n.*SIGABRT.*\n0 passed, 1 failed/);
    expect(broken.stderr).toMatch(/^axle: .*breaks the rule 'runs'\n$/);

    const asJson = await runCli([...args, '--json']);
    expect(JSON.parse(asJson.stdout.toString())).toMatchObject([{ rule: 'runs', verdict: 'fail' }]);
  });

  it.each([
    [['--rule', 'nope'], /no rule 'nope'; there are loads/],
    [['--option', 'x'], /give KEY=VALUE/],
    [['--timeout', '0'], /whole number/],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await runCli(['plugin', 'check', fault, ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });

  it('shows help', async () => {
    const { code, stdout } = await runCli(['plugin', 'check', '--help']);
    expect(code).toBe(0);
    expect(stdout.toString()).toContain('$ axle plugin check');
  });
});
