import { AxleError } from '@axle/core/internal';

import { StrictObject } from './strict-object.js';
import { isTenantName } from './tenant-name.js';
import type { TokenRecord } from './tokens.js';

/** A file of tokens, bytes. */
export const tokenFileBytesMax = 16 * 1024 * 1024;
const noteCharactersMax = 1023;
const actForMax = 1024;

/**
 * Reads a file of tokens: a record of JSON on each line.
 *
 * @throws AxleError INVALID_ARGUMENT naming the line, and never what else it holds.
 */
export function readTokenLines(text: string, fileName: string): TokenRecord[] {
  const records: TokenRecord[] = [];
  const ids = new Set<string>();
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const where = `${fileName}, line ${index + 1}`;
    const record = readRecord(StrictObject.parse(line, where));
    if (ids.has(record.id)) throw wrong(where, `has the id ${record.id} a second time`);
    ids.add(record.id);
    records.push(record);
  });
  return records;
}

export function writeTokenLines(records: readonly TokenRecord[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

function readRecord(fields: StrictObject): TokenRecord {
  const record: TokenRecord = {
    id: fields.text('id', /^[0-9a-f]{16}$/, '16 hex digits'),
    tenant: fields.text('tenant', isTenantName, 'the name of a tenant'),
    sha256: fields.text('sha256', /^[0-9a-f]{64}$/, '64 hex digits'),
    created: fields.text('created', isTime, timeWanted),
    expires: fields.nullable('expires', isTime, timeWanted),
    revoked: fields.nullable('revoked', isTime, timeWanted),
    mayActFor: fields.texts('mayActFor', actForMax, isActFor, 'names of tenants, or *'),
    note: fields.text('note', isNote, `at most ${noteCharactersMax} characters`),
  };
  fields.end();
  return record;
}

const timeWanted = 'a time such as 2027-01-31T12:00:00.000Z';

/** A time that is misread would let a token live on. */
function isTime(value: string): boolean {
  const time = Date.parse(value);
  return !Number.isNaN(time) && new Date(time).toISOString() === value;
}

function isActFor(value: string): boolean {
  return value === '*' || isTenantName(value);
}

function isNote(value: string): boolean {
  return value.length <= noteCharactersMax;
}

function wrong(where: string, what: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', `${where} ${what}; mend it, or take the line out`);
}
