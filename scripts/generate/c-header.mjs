/** @import { Entry, Registry } from './registry.mjs' */

export const BEGIN_LINE = '/* BEGIN GENERATED: proto/registry.json */';
export const END_LINE = '/* END GENERATED */';

/** @typedef {{ name: string, value: string, doc?: string | undefined }} Define */

/**
 * Puts constants between the two marker lines of a C header.
 *
 * @param {string} header
 * @param {readonly string[]} block
 * @returns {string} the header with its block replaced
 */
export function replaceGeneratedBlock(header, block) {
  const lines = header.split('\n');
  const begin = lines.indexOf(BEGIN_LINE);
  const end = lines.indexOf(END_LINE, begin + 1);
  if (begin < 0 || end < 0) {
    throw new Error(`the lines "${BEGIN_LINE}" and "${END_LINE}" must stand alone, in this order`);
  }
  return [...lines.slice(0, begin + 1), ...block, ...lines.slice(end)].join('\n');
}

/**
 * @param {readonly (readonly string[])[]} sections
 * @returns {string[]}
 */
export function blockOf(sections) {
  return ['/* clang-format off */', ...sections.flat(), '/* clang-format on */'];
}

/**
 * What plugins and clients share.
 *
 * @param {Registry} registry
 * @returns {string[][]}
 */
export function sharedSections(registry) {
  return [
    section('Status: how a call ended.', enumeration('AXLE_STATUS', registry.errorCodes, '')),
    section('Element types of tensors.', enumeration('AXLE_DTYPE', registry.dataTypes, 'u')),
    section('Op flags, combined with OR.', enumeration('AXLE_OP_FLAG', registry.opFlags, 'u')),
    section('Ops: id and version.', opDefines(registry)),
    section('Codecs: id and range of levels.', codecDefines(registry)),
    section('Types of op arguments.', enumeration('AXLE_ARG', registry.argTypes, 'u')),
    section('Kinds of device.', enumeration('AXLE_DEVICE_KIND', registry.deviceKinds, 'u')),
    section(
      'Device flags, combined with OR.',
      enumeration('AXLE_DEVICE_FLAG', registry.deviceFlags, 'u'),
    ),
    section('Health of a device.', enumeration('AXLE_HEALTH', registry.healthStates, 'u')),
    section('Kinds of output memory.', enumeration('AXLE_MEMORY', registry.memoryKinds, 'u')),
  ];
}

/**
 * @param {string} title
 * @param {Define[]} defines
 * @returns {string[]}
 */
export function section(title, defines) {
  const nameWidth = Math.max(...defines.map(({ name }) => name.length));
  const valueWidth = Math.max(...defines.map(({ value }) => value.length));
  const lines = defines.map(({ name, value, doc }) => {
    const define = `#define ${name.padEnd(nameWidth)} ${value.padStart(valueWidth)}`;
    return doc === undefined ? define : `${define} /* ${doc} */`;
  });
  return [`/* ${title} */`, ...lines, ''];
}

/**
 * @param {string} prefix
 * @param {Record<string, Entry>} entries
 * @param {'' | 'u'} suffix
 * @returns {Define[]}
 */
export function enumeration(prefix, entries, suffix) {
  return Object.entries(entries).map(([name, { id, doc }]) => ({
    name: `${prefix}_${name.toUpperCase()}`,
    value: `${id}${suffix}`,
    doc,
  }));
}

/**
 * @param {Registry} registry
 * @returns {Define[]}
 */
function opDefines({ ops, customOpIdFirst }) {
  const defines = Object.entries(ops).flatMap(([name, { id, version, doc }]) => [
    { name: `AXLE_OP_${name.toUpperCase()}`, value: `${id}u`, doc },
    { name: `AXLE_OP_${name.toUpperCase()}_VERSION`, value: `${version}u` },
  ]);
  const doc = 'Ids from here on are given to named custom ops.';
  return [...defines, { name: 'AXLE_CUSTOM_OP_ID_FIRST', value: `${customOpIdFirst}u`, doc }];
}

/**
 * @param {Registry} registry
 * @returns {Define[]}
 */
function codecDefines({ codecs }) {
  return Object.entries(codecs).flatMap(([name, codec]) => {
    const prefix = `AXLE_CODEC_${name.toUpperCase()}`;
    return [
      { name: prefix, value: `${codec.id}u`, doc: codec.doc },
      { name: `${prefix}_LEVEL_MIN`, value: `${codec.levelMin}` },
      { name: `${prefix}_LEVEL_MAX`, value: `${codec.levelMax}` },
      { name: `${prefix}_LEVEL_DEFAULT`, value: `${codec.levelDefault}` },
    ];
  });
}
