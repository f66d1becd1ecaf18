import { ArgType } from '../generated/constants.js';
import type { NativeArg, NativeArgSpec, NativeOpInfo } from '../native-binding.js';

/** Values of arguments as an operator wrote them, by NAME, or by OP:NAME for one op. */
export type GivenArgs = Readonly<Record<string, string>>;

const wholeNumber = /^[+-]?\d+$/;
const hexBytes = /^hex:((?:[0-9a-f]{2})*)$/i;

/** The value that an argument was given for this op; undefined = none. */
export function givenArg(
  { name: op }: NativeOpInfo,
  spec: NativeArgSpec,
  given: GivenArgs,
): NativeArg | undefined {
  const text = given[`${op}:${spec.name}`] ?? given[spec.name];
  return text === undefined ? undefined : [spec.name, spec.type, valueOf(spec, text)];
}

/**
 * Says what is wrong with given arguments; undefined = each is one that an op describes, and has a value of its type.
 */
export function givenArgsProblem(
  ops: readonly NativeOpInfo[],
  given: GivenArgs,
): string | undefined {
  const described = ops.flatMap((op) => op.args.map((spec) => ({ op, spec })));
  for (const [key, text] of Object.entries(given)) {
    const takers = described.filter(
      ({ op, spec }) => key === spec.name || key === `${op.name}:${spec.name}`,
    );
    if (takers.length === 0) return `no op has an argument '${key}'; ${knownText(described)}`;
    for (const { op, spec } of takers) {
      try {
        valueOf(spec, text);
      } catch (error) {
        return `of ${op.name}, ${(error as Error).message}`;
      }
    }
  }
  return undefined;
}

function knownText(
  described: readonly { readonly op: NativeOpInfo; readonly spec: NativeArgSpec }[],
): string {
  if (described.length === 0) return 'its ops describe none';
  return `there are ${described.map(({ op, spec }) => `${op.name}:${spec.name}`).join(', ')}`;
}

/** @throws Error of a text that is no value of the argument's type. */
function valueOf({ name, type }: NativeArgSpec, text: string): NativeArg[2] {
  const refuse = (wanted: string): never => {
    throw new Error(`the argument '${name}' is '${text}'; give ${wanted}`);
  };
  switch (type) {
    case ArgType.BOOL:
      if (text === 'true' || text === '1') return true;
      return text === 'false' || text === '0' ? false : refuse('true or false');
    case ArgType.INT: {
      const isWhole = wholeNumber.test(text) && Number.isSafeInteger(Number(text));
      return isWhole ? Number(text) : refuse('a whole number');
    }
    case ArgType.FLOAT: {
      const number = text.trim() === '' ? NaN : Number(text);
      return Number.isNaN(number) && text !== 'NaN' ? refuse('a number') : number;
    }
    case ArgType.STRING:
      return text;
    default: {
      const digits = hexBytes.exec(text)?.[1];
      return digits === undefined
        ? refuse('bytes, as hex: and two digits for each')
        : Buffer.from(digits, 'hex');
    }
  }
}
