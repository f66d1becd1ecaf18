import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { cpuPlugin, shippedModels } from 'axle';
import { describe, expect, it, vi } from 'vitest';

import { runCli, startCli } from './run-cli.js';

const fault = fileURLToPath(new URL('../../plugins/fault/build/libaxle_fault.so', import.meta.url));

/** The process of a rule, once the kit has started one. */
function firstChildOf(pid: number): number {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  expect(child).toMatch(/^\d+$/);
  return Number(child);
}

/** One that ended and that nobody has waited for yet does not run. */
function isRunning(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !readFileSync(path, 'latin1').includes(') Z ');
}

describe('axle plugin check', () => {
  it('says pass or fail for each rule, and ends with 1 when one is broken', async () => {
    const sound = await runCli(['plugin', 'check', fault, '--rule', 'loads', '--rule', 'runs']);
    expect(sound).toMatchObject({ code: 0, stderr: '' });
    expect(sound.stdout.toString()).toMatch(
      /^oracle .*libaxle_cpu_fallback.so\npass +loads .*\npass +runs .*\n2 passed, 0 failed, 0 skipped, 1 task on fault:0\n$/,
    );

    const args = ['plugin', 'check', fault, '--option', 'fault=crash', '--rule', 'runs'];
    const broken = await runCli(args);
    expect(broken.code).toBe(1);
    expect(broken.stdout.toString()).toMatch(/\nfail +runs .*\n.*SIGABRT.*\n0 passed, 1 failed/);
    expect(broken.stderr).toMatch(
      /^axle: .*breaks the rule 'runs': the process was ended by SIGABRT\n$/,
    );

    const asJson = await runCli([...args, '--json']);
    expect(JSON.parse(asJson.stdout.toString())).toEqual([
      {
        rule: 'runs',
        title: expect.any(String) as string,
        verdict: 'fail',
        reason: expect.stringContaining('SIGABRT') as string,
        cause: 'crash',
        tasks: {},
        ms: expect.any(Number) as number,
      },
    ]);
  });

  it('compares with the oracle that it is given, or with none', async () => {
    const args = ['plugin', 'check', fault, '--rule', 'oracle-topk', '--option'];
    const wrapped = [...args, `wrap=${cpuPlugin.path}`];
    const none = await runCli([...wrapped, '--oracle', 'none']);
    expect(none.stdout.toString()).toMatch(/^oracle none\nskip .*\n.*no oracle.*\n0 passed/);
    const own = await runCli([
      ...wrapped,
      '--oracle',
      fault,
      '--oracle-option',
      'fault=leak',
      '--json',
    ]);
    const reason = "the oracle does not offer it: fault:0: plugin 'fault' has no such op";
    expect(JSON.parse(own.stdout.toString())).toMatchObject([{ verdict: 'skip', reason }]);
    const oracle = [`wrap=${cpuPlugin.path}`, 'fault=none'].flatMap((o) => ['--oracle-option', o]);
    const same = await runCli([...wrapped, '--oracle', fault, ...oracle, '--json']);
    const results = JSON.parse(same.stdout.toString()) as unknown;
    expect(results).toMatchObject([{ verdict: 'pass', reason: '', tasks: { 'fault:0': 90 } }]);
    const shipped = await runCli([...wrapped, '--json']);
    expect(JSON.parse(shipped.stdout.toString())).toMatchObject([
      { verdict: 'pass', tasks: { 'fault:0': 30, 'cpu-fallback:0': 60 } },
    ]);
  });

  it('tries ops with the arguments that it is given, and refuses those that no op describes', async () => {
    const needs = ['plugin', 'check', fault, '--option', 'fault=needs-argument', '--rule', 'runs'];
    const none = await runCli(needs);
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/'runs': no task gave a result: .*mode must be keep.*--arg NAME=/);
    for (const name of ['mode', 'fault.axle/copy:mode']) {
      const given = await runCli([...needs, '--arg', `${name}=keep`]);
      expect(given).toMatchObject({ code: 0, stderr: '' });
    }
    const unknown = await runCli([...needs, '--arg', 'mood=keep']);
    expect(unknown).toMatchObject({ code: 2, stdout: Buffer.alloc(0) });
    expect(unknown.stderr).toBe(
      "axle: no op has an argument 'mood'; there are fault.axle/copy:mode\n",
    );
    const zero = ['plugin', 'check', fault, '--option', 'fault=crash-on-zero', '--rule', 'runs'];
    const wrong = await runCli([...zero, '--arg', 'gain=much']);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(
      /of fault.axle\/copy, the argument 'gain' is 'much'; give a whole/,
    );
    expect((await runCli([...zero, '--arg', 'gain=2'])).code).toBe(0);
    expect((await runCli([...zero, '--arg', 'gain=0'])).stderr).toMatch(/SIGABRT/);
  });

  it('tries the models that it is given', async () => {
    const rules = ['given-model', 'given-model-batch', 'given-model-oracle'];
    const options = Object.entries(cpuPlugin.options ?? {}).map(
      ([key, value]) => `${key}=${value}`,
    );
    const args = ['plugin', 'check', cpuPlugin.path, ...rules.flatMap((id) => ['--rule', id])];
    args.push(...options.flatMap((option) => ['--option', option]));
    const models = ['glyphs/1/model.onnx', 'mlp'].map((name) => `${shippedModels}/${name}`);
    const given = await runCli([...args, '--json', ...models.flatMap((path) => ['--model', path])]);
    const results = JSON.parse(given.stdout.toString()) as { tasks: Record<string, number> }[];
    expect(results).toMatchObject(rules.map((rule) => ({ rule, verdict: 'pass', reason: '' })));
    // Twice each; in singles, a batch and together, on the oracle but for the last; 1, 2 and, of the second, 7 rows.
    const counts = results.map(({ tasks }) => tasks['cpu-fallback:0']);
    expect(counts).toEqual([4, 4 + 1 + 4 + 4 + 1 + (7 + 1 + 7 + 7 + 1), 2 * (2 + 3)]);

    const none = await runCli(args);
    expect(none.code).toBe(0);
    expect(none.stdout.toString()).toMatch(
      /skip +given-model .*\n +no model was given; --model FILE/,
    );
  });

  it('ends with 2 when a model cannot be read, before any rule', async () => {
    const missing = await runCli(['plugin', 'check', fault, '--model', './nope.onnx']);
    expect(missing).toMatchObject({ code: 2, stdout: Buffer.alloc(0) });
    expect(missing.stderr).toMatch(/^axle: no model at .*nope.onnx.*\n/);
    const image = `${shippedModels}/samples/A.png`;
    const damaged = await runCli(['plugin', 'check', fault, '--json', '--model', image]);
    expect(damaged.code).toBe(2);
    expect(damaged.stderr).toMatch(/A.png.*ONNX/);
  });

  it('ends with 2 when the oracle is not there, or does not open', async () => {
    const text = fileURLToPath(import.meta.url);
    const damaged = ['--rule', 'runs', '--rule', 'oracle-topk', '--oracle', text];
    const unloadable = await runCli(['plugin', 'check', fault, ...damaged]);
    expect(unloadable).toMatchObject({ code: 2, stdout: Buffer.alloc(0) });
    expect(unloadable.stderr).toMatch(/^axle: the oracle does not open: .*plugin.test.ts/);
    const { code, stderr } = await runCli(['plugin', 'check', fault, '--oracle', './nope.so']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--oracle .*nope.so: there is no such file; name the shared library/);
  });

  it.each([
    ['./nope.so', /nope.so: no such file or directory; name the shared library/],
    [fileURLToPath(new URL('.', import.meta.url)), /that is a folder; name the shared library/],
  ])('ends with 2 when it cannot read %s', async (path, message) => {
    const { code, stdout, stderr } = await runCli(['plugin', 'check', path]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: Buffer.alloc(0) });
    expect(stderr).toMatch(message);
  });

  it.each(['/dev/null', fileURLToPath(import.meta.url)])(
    'runs no other rule when %s does not load',
    async (path) => {
      const { code, stdout, stderr } = await runCli(['plugin', 'check', path]);
      expect(code).toBe(1);
      expect(stdout.toString()).toMatch(
        /^oracle .*\nfail +loads .*\n.*\nskip .*\n +not run: it does/,
      );
      expect(stdout.toString()).toMatch(/\n0 passed, 1 failed, \d+ skipped\n$/);
      expect(stderr).toMatch(/breaks the rule 'loads': /);
    },
  );

  it('leaves no process behind, however it is ended while a plugin hangs', async () => {
    const hangs = ['--option', 'fault=never-complete', '--rule', 'runs'];
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const check = startCli(['plugin', 'check', fault, ...hangs]);
      const childPid = await vi.waitFor(() => firstChildOf(check.pid as number), 10_000);
      check.kill(signal);
      await once(check, 'exit');
      await vi.waitFor(() => expect(isRunning(childPid)).toBe(false), 10_000);
    }
  });

  it('says how many rules are broken, and which says most', async () => {
    const rules = ['runs', 'cancel', 'many'].flatMap((id) => ['--rule', id]);
    const options = ['--option', 'fault=lose-cancelled', '--timeout', '4'];
    const lost = await runCli(['plugin', 'check', fault, ...rules, ...options]);
    expect(lost.stderr).toMatch(/breaks the rule 'cancel': no end of it within 4 s/);
    const wrong = ['--option', 'fault=complete-in-submit', '--json'];
    const several = await runCli(['plugin', 'check', fault, ...rules, ...wrong]);
    expect(several.stderr).toMatch(/breaks 3 rules; look first at 'runs': .*inside submit/);
    const causes = (JSON.parse(several.stdout.toString()) as { cause: string }[]).map(
      ({ cause }) => cause,
    );
    expect(causes).toEqual(['contract', 'contract', 'contract']);
  });

  it.each([
    [['--rule', 'nope'], /no rule 'nope'; there are loads/],
    [['--option', 'x'], /--option x: give KEY=VALUE/],
    [['--oracle-option', '=x'], /--oracle-option =x: give KEY=VALUE/],
    [['--oracle', 'none', '--oracle-option', 'a=b'], /needs an oracle/],
    [['--timeout', '0'], /whole number/],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await runCli(['plugin', 'check', fault, ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });

  it('shows help', async () => {
    const { code, stdout } = await runCli(['plugin', 'check', '--help']);
    expect(code).toBe(0);
    const text = stdout.toString();
    expect(text).toContain('$ axle plugin check');
    for (const flag of [
      '--option',
      '--rule',
      '--model',
      '--oracle',
      '--oracle-option',
      '--timeout',
      '--json',
    ]) {
      expect(text).toContain(`  ${flag}`);
    }
  });
});

describe('axle plugin rules', () => {
  it('lists each rule', async () => {
    const asText = (await runCli(['plugin', 'rules'])).stdout.toString();
    const asJson = (await runCli(['plugin', 'rules', '--json'])).stdout.toString();
    const rules = JSON.parse(asJson) as { id: string; title: string }[];
    expect(rules.map(({ id }) => id)).toContain('oracle-topk');
    expect(asText).toBe(rules.map(({ id, title }) => `${id.padEnd(18)} ${title}\n`).join(''));
  });
});
