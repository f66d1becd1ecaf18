import { AxleError } from 'axle';

export type Fields = Readonly<Record<string, unknown>>;

/**
 * One object of JSON.
 *
 * @param what for messages
 * @throws AxleError INVALID_ARGUMENT
 */
export function parseObject(text: string, what: string): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new AxleError('INVALID_ARGUMENT', `${what} is no JSON: ${(error as Error).message}`);
  }
  return objectOf(parsed, what);
}

/** @throws AxleError INVALID_ARGUMENT */
export function objectOf(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new AxleError('INVALID_ARGUMENT', `${what} is to be one object, { ... }`);
}

/** Empty counts as not there, as clients written in Go leave fields. */
export function textOf(value: unknown, what: string, charactersMax: number): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string' && value.length <= charactersMax && !value.includes('\0')) {
    return value;
  }
  throw new AxleError(
    'INVALID_ARGUMENT',
    `${what} takes a text of at most ${charactersMax} characters`,
  );
}

/** Texts by name, in a record without a prototype's names. */
export function textsByName(
  value: unknown,
  what: string,
  { countMax, charactersMax, name }: { countMax: number; charactersMax: number; name: RegExp },
): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  const entries = Object.entries(objectOf(value, what));
  if (entries.length > countMax) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `${what} has ${entries.length} entries; ${countMax} are the most`,
    );
  }
  for (const [key, text] of entries) {
    if (!name.test(key)) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `${what} has a name that is none: ${JSON.stringify(key.slice(0, 100))}`,
      );
    }
    const trouble = troubleOf(text, charactersMax);
    if (trouble !== undefined)
      throw new AxleError('INVALID_ARGUMENT', `${what} takes a text for ${key}: ${trouble}`);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

function troubleOf(text: unknown, charactersMax: number): string | undefined {
  if (typeof text !== 'string') return `this is none; write it in quotes`;
  if (text.includes('\0')) return 'this has a NUL character';
  if (text.length <= charactersMax) return undefined;
  return `this has ${text.length} characters, and ${charactersMax} are the most`;
}

/** @throws AxleError INVALID_ARGUMENT */
export function textList(
  value: unknown,
  what: string,
  { countMax, entry }: { countMax: number; entry: RegExp },
): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > countMax)
    throw new AxleError('INVALID_ARGUMENT', `${what} takes a list of at most ${countMax} names`);
  const wrong: unknown = value.find((text) => typeof text !== 'string' || !entry.test(text));
  if (wrong === undefined) return [...new Set(value as string[])];
  throw new AxleError(
    'INVALID_ARGUMENT',
    `${what} takes at most ${countMax} names; ${String(JSON.stringify(wrong)).slice(0, 100)} is none`,
  );
}
