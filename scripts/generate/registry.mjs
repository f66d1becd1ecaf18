import { readFileSync } from 'node:fs';

export const REGISTRY_FILE = 'proto/registry.json';

/**
 * @typedef {{ id: number, doc?: string }} Entry
 * @typedef {Entry & { retryable: boolean }} ErrorEntry
 * @typedef {Entry & { bytes: number }} DataTypeEntry
 * @typedef {Entry & { version: number, flags: string[], chain?: string[] }} OpEntry
 * @typedef {Entry & { levelMin: number, levelMax: number, levelDefault: number }} CodecEntry
 *
 * @typedef {object} Registry
 * @property {Record<string, ErrorEntry>} errorCodes
 * @property {Record<string, DataTypeEntry>} dataTypes
 * @property {Record<string, Entry>} opFlags
 * @property {Record<string, OpEntry>} ops
 * @property {number} customOpIdFirst
 * @property {Record<string, CodecEntry>} codecs
 * @property {Record<string, Entry>} argTypes
 * @property {Record<string, Entry>} deviceKinds
 * @property {Record<string, Entry>} deviceFlags
 * @property {Record<string, Entry>} healthStates
 * @property {Record<string, Entry>} memoryKinds
 * @property {WireRegistry} wire
 *
 * @typedef {Entry & {
 *   from: 'client' | 'server' | 'both',
 *   class: 'control' | 'small' | 'bulk',
 *   names: 'zero' | 'any' | 'new' | 'handle' | 'optional',
 *   flags?: Record<string, number>,
 * }} FrameEntry
 *
 * @typedef {object} WireRegistry
 * @property {number} version
 * @property {string} magic in hex
 * @property {number} ignorableTypeFirst
 * @property {number} deviceNone
 * @property {Record<string, FrameEntry>} frames
 * @property {Record<string, Entry>} features
 * @property {Record<string, Entry>} credentials
 * @property {Record<string, Entry>} tensorSources
 * @property {Record<string, Entry>} specRoles
 * @property {Record<string, Entry>} errors
 * @property {Record<string, { value: number, doc?: string }>} limits
 */

/** Groups whose ids are combined with OR, so each must be one bit. */
const BITMASKS = /** @type {const} */ (['opFlags', 'deviceFlags']);

const GROUPS = /** @type {const} */ ([
  'errorCodes',
  'dataTypes',
  'opFlags',
  'ops',
  'codecs',
  'argTypes',
  'deviceKinds',
  'deviceFlags',
  'healthStates',
  'memoryKinds',
]);

const WIRE_GROUPS = /** @type {const} */ ([
  'frames',
  'features',
  'credentials',
  'tensorSources',
  'specRoles',
  'errors',
]);

/**
 * Reads the registry and refuses one that could not be generated from without a clash.
 *
 * @param {string} path
 * @returns {Registry}
 */
export function readRegistry(path) {
  /** @type {Registry} */
  const registry = JSON.parse(readFileSync(path, 'utf8'));
  const problems = findProblems(registry);
  if (problems.length > 0) throw new Error(`${path}:\n  ${problems.join('\n  ')}`);
  return registry;
}

/**
 * @param {Registry} registry
 * @returns {string[]} one sentence for each rule that the registry breaks
 */
export function findProblems(registry) {
  const problems = GROUPS.flatMap((group) => idProblems(group, registry[group]));
  problems.push(
    ...WIRE_GROUPS.flatMap((group) => idProblems(`wire.${group}`, registry.wire?.[group])),
  );
  if (problems.length > 0) return problems;

  for (const group of BITMASKS) problems.push(...bitProblems(group, registry[group]));
  problems.push(...bitProblems('wire.features', registry.wire.features));
  for (const [name, { id, names, class: of, flags = {} }] of Object.entries(registry.wire.frames)) {
    // Who does not know it skips it, and would answer no handle of it.
    const mayBeSkipped = names === 'zero' && of === 'control';
    if (id >= registry.wire.ignorableTypeFirst && !mayBeSkipped) {
      problems.push(`wire.frames.${name}: is ignorable`);
    }
    const bits = Object.entries(flags).map(([flag, bit]) => [flag, { id: bit }]);
    problems.push(...bitProblems(`wire.frames.${name}.flags`, Object.fromEntries(bits)));
  }
  for (const [name, op] of Object.entries(registry.ops)) {
    if (op.id >= registry.customOpIdFirst) problems.push(`ops.${name}: id is in the custom range`);
    for (const flag of op.flags) {
      if (!(flag in registry.opFlags)) problems.push(`ops.${name}: unknown flag ${flag}`);
    }
    for (const step of op.chain ?? []) {
      if (!(step in registry.ops)) problems.push(`ops.${name}: unknown step ${step}`);
    }
  }
  return problems;
}

/**
 * @param {string} group
 * @param {Record<string, Entry> | undefined} entries
 * @returns {string[]}
 */
function idProblems(group, entries) {
  if (entries === undefined) return [`${group} is missing`];
  /** @type {Map<number, string>} */
  const nameOfId = new Map();
  return Object.entries(entries).flatMap(([name, { id }]) => {
    const other = nameOfId.get(id);
    nameOfId.set(id, name);
    if (!Number.isInteger(id)) return [`${group}.${name}: id must be an integer`];
    return other === undefined ? [] : [`${group}.${name}: id ${id} is already ${other}'s`];
  });
}

/**
 * @param {string} group
 * @param {Record<string, Entry>} entries
 * @returns {string[]}
 */
function bitProblems(group, entries) {
  return Object.entries(entries)
    .filter(([, { id }]) => id <= 0 || (id & (id - 1)) !== 0)
    .map(([name]) => `${group}.${name}: id must be one bit`);
}

/**
 * @param {Registry} registry
 * @param {OpEntry} op
 * @returns {number} the op's flags as one bitmask
 */
export function flagsOf(registry, op) {
  return op.flags.reduce((mask, name) => mask | (registry.opFlags[name]?.id ?? 0), 0);
}
