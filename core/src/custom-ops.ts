import { inspect } from 'node:util';

import { argumentError } from './argument-error.js';
import type { ArgSpec, CustomOpSpec, NamedTensor, OfferedOp, TensorSpec } from './backend.js';
import type { CustomOpArg } from './client.js';
import { AxleError } from './errors.js';
import { hasFlag, FloatArg, customOp, type OpArgs, type OpArgValue } from './op.js';
import type { Chain } from './plans/chain.js';
import { describeSpec, fits, type InputTaker } from './named-inputs.js';
import type { Registry } from './registry.js';
import type { CustomOpReport } from './results.js';
import { setOwn } from './set-own.js';
import type { AnyTensor } from './tensor.js';

const noArgs: OpArgs = {};

/** A custom op that some device here offers. */
export interface CustomOp extends InputTaker {
  readonly name: string;
  readonly version: number;
  readonly flags: number;
  readonly spec: CustomOpSpec;
  /** Without arguments. */
  readonly chain: Chain;
  readonly needsArgs: boolean;
}

/** Finds custom ops by what callers call them, once for each name. */
export class CustomOps {
  private readonly found = new Map<string, CustomOp>();
  private registryVersion = 0;

  /** @throws as `findCustomOp`. */
  find(registry: Registry, reference: string): CustomOp {
    if (this.registryVersion !== registry.version) this.found.clear();
    this.registryVersion = registry.version;
    let op = this.found.get(reference);
    if (op === undefined) {
      op = findCustomOp(registry, reference);
      this.found.set(reference, op);
    }
    return op;
  }
}

/** What `client.ops()` answers. */
export function describeCustomOps(registry: Registry): CustomOpReport[] {
  return customOpsOf(registry).map(({ name, version, flags, spec }) => ({
    name,
    version,
    ...spec,
    streamable: hasFlag(flags, 'STREAMABLE'),
    devices: registry
      .candidates(customOp(name, version))
      .filter(({ backend, device, offered }) => backend.offers?.(device, offered) ?? true)
      .map(({ device }) => device.id),
  }));
}

/** Callers in plain JavaScript have no types to tell them. */
export function noOpName(reference: unknown): AxleError {
  return argumentError('op', reference, 'the name of an op, or NAME@VERSION, as a string');
}

/**
 * @param reference NAME for the highest version that is offered, or NAME@VERSION.
 * @throws AxleError NOT_FOUND naming the custom ops that there are, and the backends that may have more but are not.
 */
function findCustomOp(registry: Registry, reference: string): CustomOp {
  const [, name, version] = /^(.*?)(?:@(\d+))?$/.exec(reference) ?? [];
  let found: CustomOp | undefined;
  for (const { ops } of registry.all) {
    for (const offered of ops) {
      if (offered.name !== name || offered.name === '') continue;
      const wanted = version === undefined || offered.version === Number(version);
      if (wanted && offered.version > (found?.version ?? 0)) found = asCustomOp(offered);
    }
  }
  if (found !== undefined) return found;
  const known =
    customOpsOf(registry)
      .map((op) => `${op.name}@${op.version}`)
      .join(', ') || 'none';
  throw new AxleError(
    'NOT_FOUND',
    `no device here offers the op ${inspect(reference, { maxStringLength: 100 })}; there are: ${known}${notAvailable(registry)}`,
  );
}

function notAvailable({ unavailable }: Registry): string {
  if (unavailable.length === 0) return '';
  const reasons = unavailable.map(({ backend, reason }) => `${backend} (${reason})`);
  return `. Not available here: ${reasons.join(', ')}`;
}

/** By name, then version, each once. */
function customOpsOf(registry: Registry): CustomOp[] {
  const found = new Map<string, CustomOp>();
  for (const backend of registry.all) {
    for (const offered of backend.ops) {
      const op = asCustomOp(offered);
      if (op !== undefined && !found.has(keyOf(op))) found.set(keyOf(op), op);
    }
  }
  return [...found.values()].sort((a, b) =>
    a.name === b.name ? a.version - b.version : a.name < b.name ? -1 : 1,
  );
}

function asCustomOp({ name, version, flags, spec }: OfferedOp): CustomOp | undefined {
  if (spec === undefined) return undefined;
  const chain = customOpSteps(name, version, noArgs);
  return {
    name,
    version,
    flags,
    spec,
    chain,
    needsArgs: spec.args.some(({ required }) => required),
    label: `op '${name}'`,
    inputs: spec.inputs,
    maxBatchSize: 0,
  };
}

function keyOf({ name, version }: CustomOp): string {
  return `${name}@${version}`;
}

/**
 * @param argBytesMax of all arguments together.
 * @throws AxleError INVALID_ARGUMENT naming the argument, what was expected and what came.
 */
export function customOpChain(
  op: CustomOp,
  args: Readonly<Record<string, CustomOpArg | undefined>>,
  argBytesMax: number,
): Chain {
  const read = readArgs(op, args);
  checkArgBytes(op.name, read, argBytesMax);
  return customOpSteps(op.name, op.version, read);
}

function customOpSteps(name: string, version: number, args: OpArgs): Chain {
  const range = customOp(name, version);
  return { op: name, main: 0, steps: [{ name, range, usesModel: false, args }] };
}

function readArgs(
  { name: op, spec }: CustomOp,
  args: Readonly<Record<string, CustomOpArg | undefined>>,
): OpArgs {
  const given = Object.entries(args).filter(([, value]) => value !== undefined);
  for (const arg of spec.args) {
    if (!arg.required || args[arg.name] !== undefined) continue;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `argument '${arg.name}' of op '${op}' is missing; it takes ${wanted[arg.type]}`,
    );
  }
  if (given.length === 0) return noArgs;
  return Object.fromEntries(
    given.map(([name, value]) => {
      const arg = spec.args.find((candidate) => candidate.name === name);
      if (arg !== undefined) return [name, readArg(op, arg, value)];
      const known = spec.args.map((candidate) => `'${candidate.name}'`).join(', ') || 'none';
      throw new AxleError(
        'INVALID_ARGUMENT',
        `op '${op}' has no argument '${name}'; it has ${known}`,
      );
    }),
  );
}

const wanted: Readonly<Record<ArgSpec['type'], string>> = {
  BOOL: 'true or false',
  INT: 'a whole number within 2^53',
  FLOAT: 'a number',
  STRING: 'a string',
  BYTES: 'a Uint8Array',
};

function readArg(op: string, { name, type }: ArgSpec, value: unknown): OpArgValue {
  if (type === 'BOOL' && typeof value === 'boolean') return value;
  if (type === 'INT' && typeof value === 'number' && Number.isSafeInteger(value)) return value;
  if (type === 'FLOAT' && typeof value === 'number') return new FloatArg(value);
  if (type === 'STRING' && typeof value === 'string') return value;
  if (type === 'BYTES' && value instanceof Uint8Array) return value;
  throw argumentError(`argument '${name}' of op '${op}'`, value, wanted[type]);
}

/** What the addon counts for an argument beside its name and value: the name's end, a type, and a length or a number. */
const argFrameBytes = 10;

function argBytes(name: string, value: OpArgValue): number {
  const frame = Buffer.byteLength(name) + argFrameBytes;
  if (value instanceof Uint8Array) return frame + value.byteLength;
  return frame + (typeof value === 'string' ? Buffer.byteLength(value) : 0);
}

function checkArgBytes(op: string, args: OpArgs, bytesMax: number): void {
  let sum = 0;
  let largest = { name: '', bytes: -1 };
  for (const [name, value] of Object.entries(args)) {
    const bytes = argBytes(name, value);
    sum += bytes;
    if (bytes > largest.bytes) largest = { name, bytes };
  }
  if (sum <= bytesMax) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `argument '${largest.name}' of op '${op}' takes ${largest.bytes} of ${sum} bytes of arguments; ` +
      `the limit argBytesMax is ${bytesMax}: arguments are settings, pass data as an input`,
  );
}

/**
 * Outputs by the names that the op declares; by position where it declares none.
 *
 * @param device which gave them, for messages.
 * @throws AxleError INTERNAL when they are not what the op's description says: nobody could rely on it.
 */
export function namedOutputs(
  op: CustomOp,
  outputs: readonly NamedTensor[],
  device: string,
): Readonly<Record<string, AnyTensor>> {
  const declared = op.spec.outputs;
  if (declared.length > outputs.length) throw missingOutput(op, outputs, device);
  const byName: Record<string, AnyTensor> = {};
  for (let i = 0; i < outputs.length; i++) {
    const output = outputs[i] as NamedTensor;
    const spec = declared[i];
    if (output.position !== undefined) throw missingOutput(op, outputs, device);
    if (spec !== undefined) checkOutput(output, spec, op, device);
    else if (declared.length > 0) throw undeclaredOutput(op, i, device);
    setOwn(byName, spec?.name || output.name || String(i), output.tensor as AnyTensor);
  }
  return byName;
}

function checkOutput(
  { name, tensor }: NamedTensor,
  spec: TensorSpec,
  op: CustomOp,
  device: string,
): void {
  const named = name === '' || name === spec.name;
  if (named && tensor.dtype === spec.dtype && fits(tensor, spec)) return;
  const given = `${named ? '' : `'${name}' `}${describeSpec(tensor)}`;
  throw brokenDescription(
    op,
    device,
    `gave ${given} for its output '${spec.name}' ${describeSpec(spec)}`,
  );
}

function missingOutput(op: CustomOp, outputs: readonly NamedTensor[], device: string): AxleError {
  const gap = outputs.findIndex(({ position }) => position !== undefined);
  const place = gap < 0 ? outputs.length : gap;
  const name = op.spec.outputs[place]?.name;
  return brokenDescription(op, device, `gave no output ${name ? `'${name}'` : place}`);
}

function undeclaredOutput(op: CustomOp, place: number, device: string): AxleError {
  const declared = `its description has ${op.spec.outputs.length}`;
  return brokenDescription(op, device, `gave an output ${place}, and ${declared}`);
}

function brokenDescription({ label }: CustomOp, device: string, what: string): AxleError {
  return new AxleError('INTERNAL', `${label} ${what} on ${device}; report it to its author`);
}
