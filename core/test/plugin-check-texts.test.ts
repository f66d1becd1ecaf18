import { describe, expect, it } from 'vitest';

import { ArgType } from '../src/generated/constants.js';
import type { NativeArgSpec, NativeOpInfo } from '../src/native-binding.js';
import { faultsText, lostText } from '../src/plugin-check/complaints.js';
import { givenArg, givenArgsProblem } from '../src/plugin-check/given-args.js';
import { plainArgs } from '../src/plugin-check/samples/sample-args.js';

function opWith(name: string, ...args: NativeArgSpec[]): NativeOpInfo {
  const [inputs, outputs] = [[], []];
  const numbers = { op: 65536, version: 1, flags: 0, chainFirst: 0, chainLast: 0, batchMax: 0 };
  return { ...numbers, name, doc: '', args, inputs, outputs };
}

const arg = (name: string, type: number, doc = '', required = true): NativeArgSpec => ({
  name,
  type,
  doc,
  required,
});

describe('what is said of broken rules', () => {
  it('is which, and how often in all', () => {
    expect(faultsText(1, new Map([['a', 1]]))).toBe('a');
    expect(faultsText(150, new Map([['a', 100]]))).toBe('a (150 times)');
    const two = new Map([
      ['a', 100],
      ['b', 1],
    ]);
    expect(faultsText(170, two)).toBe('2 rules of plugin.h, 170 times in all: a; b');
    const many = new Map(Array.from({ length: 12 }, (_, i) => [`rule ${i}`, 1] as const));
    expect(faultsText(12, many)).toMatch(/^12 rules .*: rule 0; .*; rule 9; and 2 more$/);
  });
});

describe('what is said of tasks that were never completed', () => {
  const submit = (count: number) => ({ device: 'x:0', what: 'tasks' as const, count });

  it.each([
    [1, [0], 'a task was never completed on x:0'],
    [3, [0, 1, 2], 'none of 3 tasks of one submit was completed on x:0'],
    [3, [2], 'the last of 3 tasks of one submit was never completed on x:0'],
    [30, [20], 'the 21st of 30 tasks of one submit was never completed on x:0'],
    [
      30,
      [11, 12],
      'of 30 tasks of one submit 2 were never completed on x:0, the first of them the 12th',
    ],
    [200, [110], 'the 111th of 200 tasks of one submit was never completed on x:0'],
  ])('names them: of %d tasks %j', (count, places, text) => {
    expect(lostText(submit(count), places)).toBe(text);
  });
});

describe('arguments of custom ops', () => {
  const blur = opWith('a/blur', arg('radius', ArgType.INT), arg('mode', ArgType.STRING));
  const scale = opWith('a/scale', arg('radius', ArgType.FLOAT, '', false));

  it.each([
    [ArgType.BOOL, 'true', true],
    [ArgType.BOOL, '0', false],
    [ArgType.INT, '-7', -7],
    [ArgType.FLOAT, '1.5e3', 1500],
    [ArgType.FLOAT, 'NaN', NaN],
    [ArgType.STRING, '1', '1'],
    [ArgType.STRING, '', ''],
    [ArgType.BYTES, 'hex:00fF', Buffer.from([0, 255])],
    [ArgType.BYTES, 'hex:', Buffer.alloc(0)],
  ])('have their type: %d of %j', (type, text, value) => {
    const spec = arg('x', type);
    expect(givenArg(opWith('a/b', spec), spec, { x: text })).toEqual(['x', type, value]);
    expect(givenArgsProblem([opWith('a/b', spec)], { x: text })).toBeUndefined();
  });

  it.each([
    [ArgType.BOOL, 'yes', /'yes'; give true or false/],
    [ArgType.INT, '1.5', /give a whole number/],
    [ArgType.INT, '9007199254740993', /give a whole number/],
    [ArgType.FLOAT, ' ', /give a number/],
    [ArgType.FLOAT, 'much', /give a number/],
    [ArgType.BYTES, '00ff', /give bytes, as hex:/],
    [ArgType.BYTES, 'hex:0', /give bytes, as hex:/],
  ])('are refused when they have another: %d of %j', (type, text, problem) => {
    expect(givenArgsProblem([opWith('a/b', arg('x', type))], { x: text })).toMatch(problem);
  });

  it('may be of one op, and have to be of some', () => {
    const given = { radius: '2', 'a/scale:radius': '0.5' };
    expect(givenArgsProblem([blur, scale], given)).toBeUndefined();
    expect(plainArgs(blur, given)).toEqual([
      ['radius', ArgType.INT, 2],
      ['mode', ArgType.STRING, 'a'],
    ]);
    expect(plainArgs(scale, given)).toEqual([['radius', ArgType.FLOAT, 0.5]]);
    expect(plainArgs(scale, {})).toEqual([]);
    expect(givenArgsProblem([blur], { sigma: '1' })).toBe(
      "no op has an argument 'sigma'; there are a/blur:radius, a/blur:mode",
    );
    expect(givenArgsProblem([opWith('a/none')], { x: '1' })).toMatch(/its ops describe none$/);
  });

  it('are made up of what their description says, where none is given', () => {
    const quoted = arg('mode', ArgType.STRING, 'one of "wrap" and "clamp" (default)');
    const flag = arg('on', ArgType.BOOL);
    const mean = arg('mean', ArgType.BYTES);
    expect(plainArgs(opWith('a/b', quoted, flag, mean), {})).toEqual([
      ['mode', ArgType.STRING, 'wrap'],
      ['on', ArgType.BOOL, false],
      ['mean', ArgType.BYTES, new Uint8Array(16)],
    ]);
  });
});
