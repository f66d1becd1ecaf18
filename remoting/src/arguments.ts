import {
  argTypeOf,
  ArgType,
  FloatArg,
  type ArgTypeName,
  type OpArgs,
  type OpArgValue,
} from '@axle/core/internal';

import type { WireArg } from './wire/frames.js';

const typeNames = Object.keys(ArgType) as ArgTypeName[];

/** The arguments of an op as BIND carries them. */
export function writeArgs(args: OpArgs): WireArg[] {
  return Object.entries(args).map(([name, value]) => {
    const id = argTypeOf(value);
    const type = typeNames.find((candidate) => ArgType[candidate] === id) ?? 'BYTES';
    return { name, type, value: value instanceof FloatArg ? value.value : value } as WireArg;
  });
}

export function readArgs(args: readonly WireArg[]): OpArgs {
  const read: Record<string, OpArgValue> = {};
  for (const { name, type, value } of args) {
    read[name] = type === 'FLOAT' ? new FloatArg(value) : value;
  }
  return read;
}
