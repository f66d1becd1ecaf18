import { describe, expect, it } from 'vitest';

import { verdictOfExit, type Exit } from '../src/plugin-check/child-exit.js';

const exited: Exit = {
  report: { verdict: 'pass', tasks: {} },
  closing: false,
  timedOut: false,
  outstanding: '',
  timeoutMs: 2000,
  code: 0,
  killedBy: null,
  errors: '',
  left: 0,
};

const reasonOf = (exit: Partial<Exit>) => {
  const verdict = verdictOfExit({ ...exited, ...exit });
  expect(verdict.verdict).toBe('fail');
  return verdict.verdict === 'pass' ? '' : verdict.reason;
};

describe('the verdict on a process', () => {
  it('is its own when it ended well', () => {
    expect(verdictOfExit(exited)).toMatchObject({ verdict: 'pass' });
  });

  it('tells a rule that did not end from a process that did not', () => {
    expect(reasonOf({ report: undefined, timedOut: true })).toMatch(/^no end of it within 2 s/);
    const lost = { report: undefined, timedOut: true, outstanding: 'a task was never completed' };
    expect(reasonOf(lost)).toBe('no end of it within 2 s: a task was never completed');
    expect(reasonOf({ timedOut: true })).toMatch(/^the process did not exit within 2 s/);
    const closing = { report: undefined, closing: true, timedOut: true };
    expect(reasonOf(closing)).toBe('its close did not return within 2 s');
  });

  it('is not its own when the plugin left processes running', () => {
    expect(reasonOf({ left: 1 })).toBe('it left a process running that it had started');
    expect(reasonOf({ left: 2 })).toBe('it left 2 processes running that it had started');
    const broken = { verdict: 'fail', reason: 'worse', cause: 'result', tasks: {} } as const;
    expect(reasonOf({ left: 1, report: broken })).toBe('worse');
  });

  it('is not its own when it was ended, or ended with an error', () => {
    expect(reasonOf({ killedBy: 'SIGSEGV' })).toBe('the process was ended by SIGSEGV');
    expect(reasonOf({ code: 3, errors: 'a\nwhat was wrong\n\n' })).toBe(
      'the process exited with 3: what was wrong',
    );
  });

  it('is told from a plugin that ended the process', () => {
    const reason = 'the plugin ended the process, with exit code 0';
    expect(reasonOf({ report: undefined })).toBe(reason);
    expect(reasonOf({ report: undefined, errors: 'a line of its own\n' })).toBe(reason);
    expect(reasonOf({ report: undefined, code: 3 })).toMatch(/the plugin ended .* code 3$/);
  });

  it.each([
    'WARNING: ThreadSanitizer: data race (pid=7)',
    '==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1',
    'plugin.c:3:9: runtime error: signed integer overflow',
  ])('has what a sanitizer found: %s', (line) => {
    const errors = `==================\n${line}\n  #0 run plugin.c:3\n==================\n`;
    expect(reasonOf({ killedBy: 'SIGABRT', errors })).toBe(
      `the process was ended by SIGABRT: ${line}`,
    );
  });
});
