import { flagsOf } from './registry.mjs';

/** @import { Entry, Registry } from './registry.mjs' */

/**
 * @param {Registry} registry
 * @returns {string} a TypeScript module with every constant of the registry
 */
export function constantsModule(registry) {
  const { errorCodes, dataTypes } = registry;
  const parts = [
    '// Generated from proto/registry.json by `npm run generate`. Do not edit.',

    enumeration('ErrorCode', 'How a call ended, numbered as in gRPC.', errorCodes),
    record(
      'ERROR_CODE_RETRYABLE',
      'Whether the same call may succeed later.',
      'Record<ErrorCodeName, boolean>',
      mapValues(errorCodes, ({ retryable }) => `${retryable}`),
    ),

    enumeration('DataType', 'Element types of tensors.', dataTypes),
    record(
      'DATA_TYPE_BYTES',
      'Bytes of one element; 0 where elements differ in length.',
      'Record<DataTypeName, number>',
      mapValues(dataTypes, ({ bytes }) => `${bytes}`),
    ),

    enumeration('OpFlag', 'Properties of an op, combined with OR.', registry.opFlags),

    enumeration('OpId', 'Ids of the semantic ops.', registry.ops),
    OP_NAME,
    OP_DEFINITION,
    record(
      'OPS',
      'The semantic ops by name.',
      'Record<OpName, OpDefinition>',
      mapValues(registry.ops, (op) => opDefinition(registry, op)),
    ),
    `/** Ids from here on are given to named custom ops. */\nexport const CUSTOM_OP_ID_FIRST = ${registry.customOpIdFirst};\n`,

    enumeration('Codec', 'Compression formats.', registry.codecs),
    CODEC_LEVELS,
    record(
      'CODEC_LEVELS',
      'The levels that each codec takes.',
      'Record<CodecName, CodecLevels>',
      mapValues(
        registry.codecs,
        ({ levelMin, levelMax, levelDefault }) =>
          `{ min: ${levelMin}, max: ${levelMax}, default: ${levelDefault} }`,
      ),
    ),

    enumeration('ArgType', 'Types of op arguments.', registry.argTypes),
    enumeration('DeviceKind', 'Kinds of device.', registry.deviceKinds),
    enumeration('DeviceFlag', 'Properties of a device, combined with OR.', registry.deviceFlags),
    enumeration('HealthState', 'Health of a device.', registry.healthStates),
    enumeration('MemoryKind', 'Kinds of output memory.', registry.memoryKinds),
  ];
  return parts.join('\n');
}

const OP_NAME = `/** Name of a semantic op. */
export type OpName = OpIdName;
`;

const OP_DEFINITION = `export interface OpDefinition {
  readonly id: OpId;
  readonly version: number;
  /** {@link OpFlag}s, combined with OR. */
  readonly flags: number;
  /** The steps that make up this op; absent for an op that is itself a step. */
  readonly chain?: readonly OpName[];
}
`;

const CODEC_LEVELS = `export interface CodecLevels {
  readonly min: number;
  readonly max: number;
  readonly default: number;
}
`;

/**
 * A `const` object, the union of its names and the union of its values.
 *
 * @param {string} name
 * @param {string} doc
 * @param {Record<string, Entry>} entries
 */
export function enumeration(name, doc, entries) {
  const members = Object.entries(entries).map(([member, entry]) => {
    const comment = entry.doc === undefined ? '' : `  /** ${entry.doc} */\n`;
    return `${comment}  ${member}: ${entry.id},\n`;
  });
  return `/** ${doc} */
export const ${name} = {
${members.join('')}} as const;
export type ${name}Name = keyof typeof ${name};
export type ${name} = (typeof ${name})[${name}Name];
`;
}

/**
 * @param {string} name
 * @param {string} doc
 * @param {string} type
 * @param {Record<string, string>} values
 */
export function record(name, doc, type, values) {
  const members = Object.entries(values).map(([key, value]) => `  ${key}: ${value},\n`);
  return `/** ${doc} */\nexport const ${name}: Readonly<${type}> = {\n${members.join('')}};\n`;
}

/**
 * @param {Registry} registry
 * @param {Registry['ops'][string]} op
 */
function opDefinition(registry, op) {
  const chain =
    op.chain === undefined ? '' : `, chain: [${op.chain.map((step) => `'${step}'`).join(', ')}]`;
  return `{ id: ${op.id}, version: ${op.version}, flags: ${flagsOf(registry, op)}${chain} }`;
}

/**
 * @template T
 * @param {Record<string, T>} entries
 * @param {(entry: T) => string} map
 * @returns {Record<string, string>}
 */
export function mapValues(entries, map) {
  return Object.fromEntries(Object.entries(entries).map(([key, entry]) => [key, map(entry)]));
}
