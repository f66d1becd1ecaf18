import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { AxleError } from '../src/errors.js';
import { parseTextProto } from '../src/models/text-proto.js';

describe('parseTextProto', () => {
  it('reads scalars, messages, lists, comments and both kinds of brackets', () => {
    const message = parseTextProto(
      `# a comment
       name: "a" 'b'   # strings side by side are one
       n: -12 f: 1.5e3f hex: 0x1F
       kind: KIND_GPU on: true
       dims: [ 1, 2; -3 ] dims: 4
       nested { x: 1 } nested < x: 2 >`,
      'test.pbtxt',
    );
    expect(message.get('name')).toEqual([{ kind: 'string', value: 'ab' }]);
    expect(message.get('n')).toEqual([{ kind: 'number', value: -12 }]);
    expect(message.get('f')).toEqual([{ kind: 'number', value: 1500 }]);
    expect(message.get('hex')).toEqual([{ kind: 'number', value: 31 }]);
    expect(message.get('kind')).toEqual([{ kind: 'word', value: 'KIND_GPU' }]);
    expect(message.get('dims')?.map((value) => value.value)).toEqual([1, 2, -3, 4]);
    expect(message.get('nested')).toHaveLength(2);
  });

  it('keeps the strings of a list apart, and joins those without a comma', () => {
    const strings = (text: string) =>
      parseTextProto(text, 'test.pbtxt')
        .get('s')
        ?.map(({ value }) => value);
    expect(strings('s: ["a", "b" "c", "d"]')).toEqual(['a', 'bc', 'd']);
    expect(strings('s: "a", s: "b"; s: "c"')).toEqual(['a', 'b', 'c']);
  });

  it('reads numbers of every base and sign', () => {
    const numbers = parseTextProto('n: [-0x1F, +3, 0x1Fu, 017, -017, -.5f, 0]', 'test.pbtxt');
    expect(numbers.get('n')?.map(({ value }) => value)).toEqual([-31, 3, 31, 15, -15, -0.5, 0]);
  });

  it('takes comments anywhere, the end and nothing else included', () => {
    expect([...parseTextProto('n: 8 # eight', 'test.pbtxt').keys()]).toEqual(['n']);
    expect([...parseTextProto('n: 8\n#### end ####\n', 'test.pbtxt').keys()]).toEqual(['n']);
    expect([...parseTextProto('# only this', 'test.pbtxt').keys()]).toEqual([]);
    expect(() => parseTextProto(`${'#'.repeat(100_000)}\n!`, 'test.pbtxt')).toThrow(
      /line 2: unexpected '!'/,
    );
  });

  it('unescapes strings', () => {
    const strings: readonly [string, string][] = [
      [String.raw`a\n\"\x41\101\u00e9\\`, 'a\n"AA\u00e9\\'],
      [String.raw`caf\303\251 \xe2\x82\xac`, 'caf\u00e9 \u20ac'],
      [String.raw`\U0001F600 \q`, '\u{1F600} q'],
      ['\u00e9', '\u00e9'],
    ];
    for (const [written, value] of strings) {
      const message = parseTextProto(`s: "${written}"`, 'test.pbtxt');
      expect(message.get('s')).toEqual([{ kind: 'string', value }]);
    }
    const apart = parseTextProto(String.raw`s: "\303" '\251'`, 'test.pbtxt');
    expect(apart.get('s')).toEqual([{ kind: 'string', value: '\u00e9' }]);
  });

  it.each([
    ['name "x"', /line 1: expected ':' or '{'/],
    ['a: 1\nb {', /line 2: expected '}'/],
    ['a: 1\n\nb: @', /line 3: unexpected '@'/],
    ['a: [1, 2', /the file ends too early/],
    ['a: "unclosed', /unexpected '"'/],
    ['}', /unexpected '}'/],
    ['a {'.repeat(40), /nested deeper than 32/],
  ])('names the line of what is wrong in %j', (text, message) => {
    expect(() => parseTextProto(text, 'test.pbtxt')).toThrow(message);
  });

  it('either parses any text or refuses it with INVALID_ARGUMENT', () => {
    const pieces = [
      'a',
      ':',
      '{',
      '}',
      '[',
      ']',
      '<',
      '>',
      '"x"',
      '1',
      '-',
      '#',
      '\n',
      ' ',
      '\\',
      "'",
      ',',
    ];
    const text = fc
      .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 3 })))
      .map((p) => p.join(''));
    fc.assert(
      fc.property(text, (input) => {
        try {
          parseTextProto(input, 'fuzz');
        } catch (error) {
          expect(error).toBeInstanceOf(AxleError);
          expect((error as AxleError).code).toBe('INVALID_ARGUMENT');
        }
      }),
      { numRuns: 2000 },
    );
  });
});
