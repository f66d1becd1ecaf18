import { enumeration, section } from './c-header.mjs';

/** @import { Registry } from './registry.mjs' */
/** @import { Define } from './c-header.mjs' */

const UINT32_MAX = 2 ** 32 - 1;

/**
 * The constants of the wire protocol.
 *
 * @param {Registry} registry
 * @returns {string[][]}
 */
export function wireSections({ wire }) {
  return [
    section('The wire protocol.', [
      { name: 'AXLE_WIRE_VERSION', value: `${wire.version}u` },
      { name: 'AXLE_WIRE_MAGIC', value: cString(wire.magic), doc: '8 bytes, not terminated.' },
      { name: 'AXLE_WIRE_IGNORABLE_TYPE_FIRST', value: `${wire.ignorableTypeFirst}u` },
      { name: 'AXLE_WIRE_DEVICE_NONE', value: `${wire.deviceNone}u` },
    ]),
    section('Types of frame.', enumeration('AXLE_FRAME', wire.frames, 'u')),
    section('Flags of frames.', frameFlags(wire)),
    section('Features, combined with OR.', enumeration('AXLE_FEATURE', wire.features, 'u')),
    section('Credentials of HELLO.', enumeration('AXLE_CREDENTIAL', wire.credentials, 'u')),
    section(
      'Where the bytes of a tensor are.',
      enumeration('AXLE_SOURCE', wire.tensorSources, 'u'),
    ),
    section('What a TENSOR_SPEC is of.', enumeration('AXLE_ROLE', wire.specRoles, 'u')),
    section('Wire errors: a frame that ...', enumeration('AXLE_WIRE_ERROR', wire.errors, '')),
    section('Limits.', limits(wire)),
  ];
}

/**
 * @param {Registry['wire']} wire
 * @returns {Define[]}
 */
function frameFlags({ frames }) {
  return Object.entries(frames).flatMap(([frame, { flags = {} }]) =>
    Object.entries(flags).map(([flag, bit]) => ({
      name: `AXLE_FLAG_${frame}_${flag}`,
      value: `${bit}u`,
    })),
  );
}

/**
 * @param {Registry['wire']} wire
 * @returns {Define[]}
 */
function limits({ limits }) {
  return Object.entries(limits).map(([name, { value, doc }]) => ({
    name: `AXLE_WIRE_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
    value: `${value}${value > UINT32_MAX ? 'ull' : 'u'}`,
    doc,
  }));
}

/** @param {string} hex */
function cString(hex) {
  return `"${hex.replaceAll(/../g, (byte) => `\\x${byte}`)}"`;
}
