import { AxleError } from 'axle';

import { checkFunctionName } from './bundle-reference.js';

export const manifestFile = 'axle-function.json';
export const manifestBytesMax = 64 * 1024;

/** What `axle-function.json` in the folder of a function says. */
export interface FunctionManifest {
  readonly name: string;
  /** A module of the bundle whose default export handles events; undefined: `command` does. */
  readonly handler: string | undefined;
  /** A program, run once for each event: its body in, the answer out. The first word may be a file of the bundle. */
  readonly command: readonly string[] | undefined;
  /** A virtual machine of its own; undefined: one of the two before. */
  readonly guest: GuestProgram | undefined;
  /** Of the pool: loaded while an instance boots. */
  readonly models: readonly string[];
  readonly memoryMiB: number;
  /** For one call, milliseconds. */
  readonly timeoutMs: number;
  /** Calls that one instance works on at once. */
  readonly concurrency: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** What guests may be. */
export const guestRuntimes = ['unikernel', 'microvm'] as const;

export interface GuestProgram {
  readonly runtime: (typeof guestRuntimes)[number];
  /** What boots: a file of the bundle, or a folder of it. */
  readonly image: string;
}

interface Range {
  readonly least: number;
  readonly most: number;
  readonly otherwise: number;
}

const memoryMiB: Range = { least: 64, most: 65_536, otherwise: 256 };
const timeoutMs: Range = { least: 1, most: 3_600_000, otherwise: 30_000 };
const concurrency: Range = { least: 1, most: 1000, otherwise: 16 };
/** A guest works on calls one after the other. */
const guestConcurrency: Range = { least: 1, most: 1, otherwise: 1 };
const modelsMax = 64;
const commandWordsMax = 64;
const variablesMax = 256;
const textMax = 4096;
const variableName = /^[A-Za-z_]\w{0,127}$/;
const known: ReadonlySet<string> = new Set([
  'name',
  'handler',
  'command',
  'runtime',
  'image',
  'models',
  'memoryMiB',
  'timeoutMs',
  'concurrency',
  'environment',
]);

/** @throws AxleError INVALID_ARGUMENT naming the field. */
export function parseFunctionManifest(text: string): FunctionManifest {
  const fields = objectOf(text);
  const unknown = Object.keys(fields).find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw wrong(unknown, `is not known; there are ${[...known].join(', ')}`);
  }
  const { name, handler, command } = fields;
  const guest = readGuest(fields.runtime, fields.image);
  if (typeof name !== 'string') throw wrong('name', 'is to be text');
  checkFunctionName(name);
  const kinds = [handler, command, guest].filter((each) => each !== undefined).length;
  if (kinds === 0) throw wrong('handler', "or 'command' is to be there, or 'runtime' and 'image'");
  if (kinds > 1) throw wrong('handler', "goes with no 'command' or 'runtime': one, and not both");
  return {
    name,
    handler: handler === undefined ? undefined : bundlePath('handler', handler),
    command: command === undefined ? undefined : texts('command', command, 1, commandWordsMax),
    guest,
    models: texts('models', fields.models ?? [], 0, modelsMax),
    memoryMiB: wholeNumber('memoryMiB', fields.memoryMiB, memoryMiB),
    timeoutMs: wholeNumber('timeoutMs', fields.timeoutMs, timeoutMs),
    concurrency: wholeNumber(
      'concurrency',
      fields.concurrency,
      guest === undefined ? concurrency : guestConcurrency,
    ),
    environment: readEnvironment(fields.environment ?? {}),
  };
}

function objectOf(text: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new AxleError('INVALID_ARGUMENT', `${manifestFile}: ${(error as Error).message}`);
  }
  if (isObject(parsed)) return parsed;
  throw new AxleError('INVALID_ARGUMENT', `${manifestFile} is to hold one object, { "name": ... }`);
}

function readGuest(runtime: unknown, image: unknown): GuestProgram | undefined {
  if (runtime === undefined) {
    if (image !== undefined) throw wrong('image', "is what boots: 'runtime' says as what");
    return undefined;
  }
  const known = guestRuntimes.find((each) => each === runtime);
  if (known === undefined) throw wrong('runtime', `takes ${guestRuntimes.join(' or ')}`);
  return { runtime: known, image: bundlePath('image', image) };
}

/** A file of the bundle, or a folder. */
function bundlePath(field: string, value: unknown): string {
  const [path] = texts(field, [value], 1, 1);
  const segments = (path as string).replace(/^\.\//, '').split('/');
  if (segments.every((segment) => !['', '.', '..'].includes(segment))) return segments.join('/');
  throw wrong(field, 'is to be a path inside the folder, such as handler.mjs');
}

function texts(field: string, value: unknown, least: number, most: number): readonly string[] {
  const isRight =
    Array.isArray(value) &&
    value.length >= least &&
    value.length <= most &&
    value.every((text) => typeof text === 'string' && isPlain(text));
  if (isRight) return value as string[];
  throw wrong(field, `takes ${least} to ${most} texts of 1 to ${textMax} characters`);
}

function wholeNumber(field: string, value: unknown, { least, most, otherwise }: Range): number {
  if (value === undefined) return otherwise;
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) {
    return value as number;
  }
  throw wrong(field, `takes a whole number from ${least} to ${most}`);
}

function readEnvironment(value: unknown): Readonly<Record<string, string>> {
  const entries = isObject(value) ? Object.entries(value) : undefined;
  if (entries === undefined || entries.length > variablesMax) {
    throw wrong('environment', `takes an object of at most ${variablesMax} texts by name`);
  }
  for (const [name, text] of entries) {
    if (!variableName.test(name)) throw wrong('environment', `has a name that is none: ${name}`);
    if (typeof text !== 'string' || text.length > textMax || text.includes('\0')) {
      throw wrong('environment', `takes a text of at most ${textMax} characters for ${name}`);
    }
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

function isPlain(text: string): boolean {
  return text !== '' && text.length <= textMax && !text.includes('\0');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(field: string, what: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', `${manifestFile}: '${field}' ${what}`);
}
