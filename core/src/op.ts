import { createHash } from 'node:crypto';

import { ArgType, OPS, OpFlag, type OpName } from './generated/constants.js';

/** Arguments of an op by name; the ABI's header, or a custom op's description, says which each op knows. */
export type OpArgs = Readonly<Record<string, OpArgValue>>;

/** A whole number is INT, another number FLOAT; a FloatArg is FLOAT also when it is whole. */
export type OpArgValue = boolean | number | string | Uint8Array | FloatArg;

export class FloatArg {
  constructor(readonly value: number) {}
}

/**
 * What one task asks of a device: an op, or the fused range of a semantic op's chain. `first` and `last` are 0 for an
 * op that is no chain.
 */
export interface OpRange {
  /** Of a custom op, else ''. */
  readonly name: string;
  /** The registry's number; for a custom op the one that its plugin chose, 0 where none is meant. */
  readonly op: number;
  readonly version: number;
  readonly first: number;
  readonly last: number;
}

/** A semantic op that is itself one step. */
export function singleOp(name: OpName): OpRange {
  const { id, version } = OPS[name];
  return { name: '', op: id, version, first: 0, last: 0 };
}

/** The steps `first`..`last` of a semantic op in one task. */
export function fusedRange(name: OpName, first: number, last: number): OpRange {
  const { id, version } = OPS[name];
  return { name: '', op: id, version, first, last };
}

/** A custom op of whatever plugin offers it. */
export function customOp(name: string, version: number): OpRange {
  return { name, op: 0, version, first: 0, last: 0 };
}

/** Custom ops are the same by name: each plugin numbers its own. */
export function sameRange(a: OpRange, b: OpRange): boolean {
  const same = a.name === b.name && (a.name !== '' || a.op === b.op);
  return same && a.version === b.version && a.first === b.first && a.last === b.last;
}

export function hasFlag(flags: number, flag: keyof typeof OpFlag): boolean {
  return (flags & OpFlag[flag]) !== 0;
}

/** The ABI's type of an argument. */
export function argTypeOf(value: OpArgValue): number {
  if (typeof value === 'boolean') return ArgType.BOOL;
  if (typeof value === 'string') return ArgType.STRING;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? ArgType.INT : ArgType.FLOAT;
  return value instanceof FloatArg ? ArgType.FLOAT : ArgType.BYTES;
}

/** A text that is equal for equal arguments: what batches and caches are keyed by. */
export function argsKey(args: OpArgs): string {
  const names = Object.keys(args).sort();
  return names.map((name) => `${name}=${argKey(args[name] as OpArgValue)}`).join(';');
}

/** Above this many bytes a digest stands for them: keys are kept. */
const keyBytesMax = 64;

function bytesKey(bytes: Uint8Array): string {
  if (bytes.byteLength > keyBytesMax) return `sha256:${sha256(bytes)}`;
  return `x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function argKey(value: OpArgValue): string {
  if (value instanceof Uint8Array) return bytesKey(value);
  if (value instanceof FloatArg) return `float:${value.value}`;
  return `${typeof value}:${JSON.stringify(value)}`;
}
