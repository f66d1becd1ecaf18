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
  /** @type {string[]} */
  const problems = [];
  for (const group of GROUPS) {
    if (registry[group] === undefined) {
      problems.push(`${group} is missing`);
      continue;
    }
    /** @type {Map<number, string>} */
    const nameOfId = new Map();
    for (const [name, { id }] of Object.entries(registry[group])) {
      if (!Number.isInteger(id)) problems.push(`${group}.${name}: id must be an integer`);
      const other = nameOfId.get(id);
      if (other !== undefined) problems.push(`${group}.${name}: id ${id} is already ${other}'s`);
      nameOfId.set(id, name);
    }
  }
  if (problems.length > 0) return problems;

  for (const group of BITMASKS) {
    for (const [name, { id }] of Object.entries(registry[group])) {
      if (id <= 0 || (id & (id - 1)) !== 0) problems.push(`${group}.${name}: id must be one bit`);
    }
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
 * @param {Registry} registry
 * @param {OpEntry} op
 * @returns {number} the op's flags as one bitmask
 */
export function flagsOf(registry, op) {
  return op.flags.reduce((mask, name) => mask | (registry.opFlags[name]?.id ?? 0), 0);
}
