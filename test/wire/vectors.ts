import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Side } from '@axle/remoting';

/** A test vector of proto/vectors; its README says what the parts are. */
export interface Vector {
  readonly name: string;
  readonly from: Side;
  readonly bytes: readonly (readonly [what: string, hex: string])[];
  readonly frame?: Readonly<Record<string, unknown>>;
  readonly error?: string;
}

const folder = join(import.meta.dirname, '../../proto/vectors');

export function readVectors(): Vector[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .flatMap((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Vector[]);
}

export function bytesOf(vector: Vector): Buffer {
  return Buffer.from(vector.bytes.map(([, hex]) => hex).join(''), 'hex');
}

/** A decoded frame as vectors write it: bytes in hex, `null` for what is not there. */
export function asVector(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(asVector);
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, asVector(each)]));
}

/** Fields that are bytes, for the way back. */
const binary = new Set([
  ...[
    'nonce',
    'token',
    'instance',
    'contentId',
    'data',
    'traceId',
    'parentId',
    'ticket',
    'devices',
  ],
]);

/** The frame that a vector writes. */
export function fromVector(value: unknown, key = ''): unknown {
  if (value === null) return undefined;
  if (typeof value === 'string') return binary.has(key) ? Buffer.from(value, 'hex') : value;
  if (Array.isArray(value)) return value.map((each) => fromVector(each));
  if (typeof value !== 'object') return value;
  const isBytes = 'type' in value && value.type === 'BYTES' && 'value' in value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) =>
      isBytes && name === 'value'
        ? [name, Buffer.from(String(each), 'hex')]
        : [name, fromVector(each, name)],
    ),
  );
}
