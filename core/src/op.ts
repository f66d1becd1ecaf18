import { ArgType, OPS, OpFlag, type OpName } from './generated/constants.js';

/** Arguments of an op by name; the ABI's header says which each op knows. */
export type OpArgs = Readonly<Record<string, OpArgValue>>;

/** Whole numbers are INT, other numbers FLOAT. */
export type OpArgValue = boolean | number | string | Uint8Array;

/**
 * What one task asks of a device: an op, or the fused range of a semantic op's chain. `first` and `last` are 0 for an
 * op that is no chain.
 */
export interface OpRange {
  readonly op: number;
  readonly version: number;
  readonly first: number;
  readonly last: number;
}

/** A semantic op that is itself one step. */
export function singleOp(name: OpName): OpRange {
  const { id, version } = OPS[name];
  return { op: id, version, first: 0, last: 0 };
}

/** The steps `first`..`last` of a semantic op in one task. */
export function fusedRange(name: OpName, first: number, last: number): OpRange {
  const { id, version } = OPS[name];
  return { op: id, version, first, last };
}

export function sameRange(a: OpRange, b: OpRange): boolean {
  return a.op === b.op && a.version === b.version && a.first === b.first && a.last === b.last;
}

export function hasFlag(flags: number, flag: keyof typeof OpFlag): boolean {
  return (flags & OpFlag[flag]) !== 0;
}

/** The ABI's type of an argument. */
export function argTypeOf(value: OpArgValue): number {
  if (typeof value === 'boolean') return ArgType.BOOL;
  if (typeof value === 'string') return ArgType.STRING;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? ArgType.INT : ArgType.FLOAT;
  return ArgType.BYTES;
}

/** A text that is equal for equal arguments: what batches and caches are keyed by. */
export function argsKey(args: OpArgs): string {
  const names = Object.keys(args).sort();
  return names.map((name) => `${name}=${argKey(args[name] as OpArgValue)}`).join(';');
}

function argKey(value: OpArgValue): string {
  if (value instanceof Uint8Array) return `x${Buffer.from(value).toString('hex')}`;
  return `${typeof value}:${JSON.stringify(value)}`;
}
