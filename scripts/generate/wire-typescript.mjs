import { enumeration, mapValues, record } from './typescript.mjs';

/** @import { Registry } from './registry.mjs' */

/**
 * @param {Registry} registry
 * @returns {string} a TypeScript module with the constants of the wire protocol
 */
export function wireModule({ wire }) {
  const parts = [
    '// Generated from proto/registry.json by `npm run generate`. Do not edit.',
    `/** The version of the protocol that is spoken here. */\nexport const WIRE_VERSION = ${wire.version};\n`,
    `/** What HELLO and WELCOME begin with, in hex. */\nexport const WIRE_MAGIC = '${wire.magic}';\n`,
    `/** Frames of types from here on are skipped by whoever does not know them. */\nexport const IGNORABLE_TYPE_FIRST = ${wire.ignorableTypeFirst};\n`,
    `/** The index that stands for no device. */\nexport const DEVICE_NONE = ${wire.deviceNone};\n`,

    enumeration('FrameType', 'Types of frame.', wire.frames),
    FRAME_RULES,
    record(
      'FRAME_RULES',
      'The frames by name.',
      'Record<FrameTypeName, FrameRules>',
      mapValues(
        wire.frames,
        ({ from, class: frameClass, names, flags = {} }) =>
          `{ from: '${from}', class: '${frameClass}', names: '${names}', flags: ${sum(flags)} }`,
      ),
    ),
    ...Object.entries(wire.frames).flatMap(([name, { flags }]) =>
      flags === undefined ? [] : [flagsOf(name, flags)],
    ),

    enumeration('WireFeature', 'Features, combined with OR.', wire.features),
    enumeration('Credential', 'Kinds of credentials in HELLO.', wire.credentials),
    enumeration('TensorSource', 'Where the bytes of a tensor are.', wire.tensorSources),
    enumeration('SpecRole', 'What a TENSOR_SPEC is of.', wire.specRoles),
    enumeration('WireErrorId', 'Breaches of the protocol: a frame that ...', wire.errors),
    record(
      'WIRE_ERROR_DOC',
      'What is wrong with a frame, to be said after "a frame".',
      'Record<WireErrorIdName, string>',
      mapValues(wire.errors, ({ doc = '' }) => `'${doc}'`),
    ),
    limits(wire),
  ];
  return parts.join('\n');
}

const FRAME_RULES = `export interface FrameRules {
  readonly from: 'client' | 'server' | 'both';
  readonly class: 'control' | 'small' | 'bulk';
  /** What the id in the header is. */
  readonly names: 'zero' | 'any' | 'new' | 'handle' | 'optional';
  /** All that it may have, combined with OR. */
  readonly flags: number;
}
`;

/** @param {Record<string, number>} flags */
function sum(flags) {
  return Object.values(flags).reduce((mask, bit) => mask | bit, 0);
}

/**
 * @param {string} frame
 * @param {Record<string, number>} flags
 */
function flagsOf(frame, flags) {
  const members = Object.entries(flags).map(([flag, bit]) => `  ${flag}: ${bit},\n`);
  const name = frame
    .toLowerCase()
    .replaceAll(/(?:^|_)([a-z])/g, (_, letter) => letter.toUpperCase());
  return `/** Flags of ${frame}. */\nexport const ${name}Flag = {\n${members.join('')}} as const;\n`;
}

/** @param {Registry['wire']} wire */
function limits({ limits }) {
  const members = Object.entries(limits).map(([name, { value, doc }]) => {
    const comment = doc === undefined ? '' : `  /** ${doc} */\n`;
    return `${comment}  ${name}: ${value},\n`;
  });
  return `/** Limits of the protocol. */\nexport const wireLimits = {\n${members.join('')}} as const;\n`;
}
