import { ArgType } from '../../generated/constants.js';
import type { NativeArg, NativeArgSpec, NativeOpInfo } from '../../native-binding.js';
import { givenArg, type GivenArgs } from '../given-args.js';

/** What required arguments are where no value is given: what most ops can make sense of. */
const plainText = 'a';
/** As many elements of any size as there may be. */
const plainBytes = new Uint8Array(16);
/** A text in a one-line description that stands in quotes: most likely a value. */
const quoted = /"([^"]+)"|'([^']+)'/;

const longText = 'a'.repeat(300);
/** Values of the type that an op may refuse. None is so large that a sound op could work on it for long. */
const edgeValues: Readonly<Record<number, readonly NativeArg[2][]>> = {
  [ArgType.BOOL]: [false, true],
  [ArgType.INT]: [0, 1, -1],
  [ArgType.FLOAT]: [0, 1, -1, NaN],
  [ArgType.STRING]: ['', plainText, longText],
  [ArgType.BYTES]: [new Uint8Array(0), Uint8Array.of(0), plainBytes],
};

/** Those that were given, and of the others the required ones. */
export function plainArgs(op: NativeOpInfo, given: GivenArgs): NativeArg[] {
  return op.args.flatMap((spec) => {
    const arg = givenArg(op, spec, given) ?? (spec.required ? plainArg(spec) : undefined);
    return arg === undefined ? [] : [arg];
  });
}

/** Lists of arguments that fit the op's description, beside {@link plainArgs}. */
export function otherArgs(op: NativeOpInfo, given: GivenArgs): NativeArg[][] {
  const plain = plainArgs(op, given);
  const all = op.args.map((spec) => givenArg(op, spec, given) ?? plainArg(spec));
  const edges = op.args.flatMap((spec) =>
    (edgeValues[spec.type] ?? []).map((value) => withArg(plain, [spec.name, spec.type, value])),
  );
  return all.length > plain.length ? [all, ...edges] : edges;
}

function plainArg({ name, type, doc }: NativeArgSpec): NativeArg {
  if (type === ArgType.BOOL) return [name, type, false];
  if (type === ArgType.BYTES) return [name, type, plainBytes];
  if (type !== ArgType.STRING) return [name, type, 1];
  const [, inDouble, inSingle] = quoted.exec(doc) ?? [];
  return [name, type, inDouble ?? inSingle ?? plainText];
}

function withArg(args: readonly NativeArg[], arg: NativeArg): NativeArg[] {
  return [...args.filter(([name]) => name !== arg[0]), arg];
}
