import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import {
  CallFlag,
  FRAME_RULES,
  FrameType,
  WireErrorId,
  wireLimits,
  type FrameTypeName,
} from '../src/generated/wire.js';
import * as constants from '../src/generated/wire.js';
import { layouts, type LaidOutType } from '../src/wire/layouts.js';

const text = readFileSync(join(import.meta.dirname, '../../proto/PROTOCOL.md'), 'utf8');

/** The rows of all tables whose first column has this heading. */
function tableRows(...heading: string[]): string[][] {
  const rows: string[][] = [];
  let inside = false;
  for (const line of text.split('\n')) {
    const cells = line.startsWith('|')
      ? line
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.trim())
      : [];
    if (cells.length === 0) inside = false;
    else if (heading.every((name, i) => cells[i] === name)) inside = true;
    else if (inside && !/^-+$/.test(cells[0] ?? '')) rows.push(cells);
  }
  return rows;
}

const flagsOfFrame = (name: string): Record<string, number> => {
  const camel = name
    .toLowerCase()
    .replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const all = constants as unknown as Record<string, Record<string, number> | undefined>;
  return all[`${camel}Flag`] ?? {};
};

describe('PROTOCOL.md', () => {
  it('has the frames of the registry', () => {
    const sides = { client: 'c', server: 's', both: 'c s' };
    const ids = { zero: '0', any: 'any', new: 'new', handle: 'handle', optional: '0/handle' };
    const wanted = (Object.keys(FrameType) as FrameTypeName[]).map((name) => {
      const { from, class: frameClass, names } = FRAME_RULES[name];
      const flags = Object.entries(flagsOfFrame(name)).map(([flag, bit]) => `${flag} ${bit}`);
      const type = `0x${FrameType[name].toString(16).padStart(2, '0')}`;
      return [type, name, sides[from], frameClass, ids[names], flags.join(', ')];
    });
    expect(tableRows('type', 'name', 'from').map((row) => row.slice(0, 6))).toEqual(wanted);
    expect(CallFlag.TRACE).toBe(constants.StreamFlag.TRACE);
  });

  it('has the wire errors of the registry', () => {
    const rows = tableRows('number', 'name').map(([number, name]) => [name, Number(number)]);
    expect(Object.fromEntries(rows)).toEqual(WireErrorId);
  });

  it('has the limits of the registry', () => {
    const units: Record<string, number> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
    const entries = tableRows('name', 'value').flatMap(([names = '', value = '']) => {
      if (value === 'WELCOME') return [];
      const [amount = '', unit = ''] = value.split(' ');
      const number = value === '2^53 - 1' ? 2 ** 53 - 1 : Number(amount) * (units[unit] ?? 1);
      return names.split(', ').map((name) => [name, number]);
    });
    expect(Object.fromEntries(entries)).toEqual(wireLimits);
  });

  it.each(Object.keys(layouts))('lays out %s as the codec does', (name) => {
    const { fields } = layouts[name as LaidOutType];
    const wanted = fields.map(({ key, bytes }) => ({ key: key === '' ? undefined : key, bytes }));
    expect(fieldsOf(name) ?? []).toEqual(wanted);
  });

  it.each([
    ['CALL', 16],
    ['RESULT', 24],
  ])('lays out %s in %i bytes', (name, bytes) => {
    const fields = fieldsOf(name) ?? [];
    expect(fields.reduce((sum, field) => sum + field.bytes, 0)).toBe(bytes);
  });
});

interface DocumentedField {
  readonly key: string | undefined;
  readonly bytes: number;
}

/** What the document calls otherwise: counts of records, flags, what goes without a name. */
const aliases: Record<string, Record<string, string>> = {
  BIND: { argCount: 'args', inputCount: 'inputNames' },
  NEED: { rangeCount: 'ranges' },
  TENSOR_SPEC: { rank: 'shape' },
};

function fieldsOf(frame: string): DocumentedField[] | undefined {
  const found = tableAfter(frame) ?? inlineOf(frame);
  return found?.map(({ type, name }) => {
    const key = aliases[frame]?.[name] ?? name;
    return { key: name === '' || name === 'magic' ? undefined : key, bytes: bytesOfType(type) };
  });
}

function bytesOfType(type: string): number {
  const [, digits] = /^[uif](\d+)$/.exec(type) ?? [];
  if (digits !== undefined) return Number(digits) / 8;
  const [, fixed] = /^(\d+) bytes$/.exec(type) ?? /^zero\((\d+)\)$/.exec(type) ?? [];
  if (fixed !== undefined) return Number(fixed);
  expect(type).toMatch(/^(text|blob)\(\d+\)$/);
  return 2;
}

/** Of a frame whose fields stand in a table; the offsets in it are checked too. */
function tableAfter(frame: string): { type: string; name: string }[] | undefined {
  const start = new RegExp(`^\\*\\*${frame}\\*\\*[^|:]*\\n\\n\\| at `, 'm').exec(text)?.index;
  if (start === undefined) return undefined;
  const lines = text.slice(text.indexOf('| at ', start)).split('\n');
  const rows = lines
    .slice(2, lines.indexOf(''))
    .map((line) => line.split('|').map((c) => c.trim()));
  let offset = 0;
  return rows.map(([, at, type = '', name = '']) => {
    expect(at, `${frame}.${name}`).toBe(String(offset));
    offset += bytesOfType(type);
    return { type, name };
  });
}

/** Of a frame whose fields stand in a line of code, in the text or in a table. */
function inlineOf(frame: string): { type: string; name: string }[] | undefined {
  const flat = text.replaceAll(/\n(?!\n) */g, ' ');
  const [, code] =
    new RegExp(`\\*\\*${frame}\\*\\*[:,]? [^\`]{0,40}?\`([^\`]*)\``).exec(flat) ??
    new RegExp(`\\| ${frame} +\\| \`([^\`]*)\``).exec(flat) ??
    [];
  return code?.split(', ').map((field) => {
    const [, type = '', name = ''] =
      /^(\d+ bytes|\w+(?:\(\d+\))?) ?(\w*)(?: \(.*\))?$/.exec(field) ?? [];
    return { type, name };
  });
}
