import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { plugin as cpuFallback } from '@axle/plugin-cpu-fallback';
import { checkPlugin, pluginRules, type RuleResult } from 'axle';
import { describe, expect, it } from 'vitest';

const plugins = fileURLToPath(new URL('../../plugins', import.meta.url));
const template = join(plugins, 'template/build/libaxle_template.so');
const echo = join(plugins, 'echo/build/libaxle_echo.so');
const fault = join(plugins, 'fault/build/libaxle_fault.so');
/** Long enough for a sound rule on a busy machine, short enough to wait for those that hang. */
const timeoutMs = 20_000;

function problems(results: readonly RuleResult[]): string[] {
  return results
    .filter(({ verdict }) => verdict !== 'pass')
    .map(({ rule, verdict, reason }) => `${verdict} ${rule}: ${reason}`);
}

describe('checkPlugin', () => {
  it.each([
    ['the template', template, {}],
    ['the echo plugin', echo, {}],
    ['the echo plugin that spins', echo, { spin_us: '200' }],
    ['the fault plugin that is told nothing', fault, {}],
    ['the CPU plugin', cpuFallback.path, cpuFallback.options],
  ])('passes %s', async (_, path, options) => {
    const results = await checkPlugin(path, { options, timeoutMs });
    expect(problems(results)).toEqual([]);
    expect(results.map(({ rule }) => rule)).toEqual(pluginRules.map(({ id }) => id));
  });

  it.each<[string, string, RegExp]>([
    ['complete-twice', 'runs', /complete/],
    ['complete-in-submit', 'runs', /inside submit/],
    ['wrong-size', 'runs', /bytes|emit/],
    ['emit-after-complete', 'runs', /emit|complete/],
    ['write-past-end', 'runs', /past the end/],
    ['write-input', 'inputs-unchanged', /wrote to its input/],
    ['first-segment-only', 'scatter', /in pieces/],
    ['changing-output', 'same-again', /two outputs for one input/],
    ['no-message', 'bad-input', /no message/],
    ['leak', 'leaks', /MB behind/],
    ['crash', 'runs', /SIGABRT/],
    ['crash-on-close', 'loads', /SIGABRT/],
    ['left-thread', 'reopens', /left 2\d threads/],
    ['any-option', 'unknown-option', /it opened with the option/],
  ])('catches %s by the rule %s', async (name, rule, reason) => {
    const [result] = await checkPlugin(fault, {
      options: { fault: name },
      rules: [rule],
      timeoutMs,
    });
    expect(result).toMatchObject({ rule, verdict: 'fail' });
    expect(result?.reason).toMatch(reason);
  });

  it.each([
    ['never-complete', 'runs'],
    ['hang-on-close', 'loads'],
  ])('catches %s by its watchdog', async (name, rule) => {
    const [result] = await checkPlugin(fault, {
      options: { fault: name },
      rules: [rule],
      timeoutMs: 1500,
    });
    expect(result).toMatchObject({ rule, verdict: 'fail' });
    expect(result?.reason).toMatch(/never completed|did not exit/);
  });

  it('says so when a file is no plugin, and skips what is not available here', async () => {
    const rules = ['loads'];
    const [library] = await checkPlugin(join(dirname(template), 'nope.so'), { rules });
    expect(library).toMatchObject({
      verdict: 'fail',
      reason: expect.stringMatching(/nope.so/) as string,
    });
    const [lost] = await checkPlugin(fault, { rules: ['runs'], options: { fault: 'lost' } });
    expect(lost).toMatchObject({
      verdict: 'skip',
      reason: expect.stringMatching(/lost/) as string,
    });
  });

  it('ends with the reason of its signal', async () => {
    const abort = new AbortController();
    const check = checkPlugin(fault, {
      options: { fault: 'never-complete' },
      rules: ['runs'],
      signal: abort.signal,
    });
    abort.abort(new Error('enough'));
    await expect(check).rejects.toThrow('enough');
  });
});
