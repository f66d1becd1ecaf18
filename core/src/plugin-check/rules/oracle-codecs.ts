import { ArgType, Codec, CODEC_LEVELS, ErrorCode, OPS } from '../../generated/constants.js';
import type { NativeArg } from '../../native-binding.js';
import { checkOffered, runOnOracle, withOracle, type Comparison } from '../oracle.js';
import type { TaskRequest } from '../plugin-under-test.js';
import { broken, type Rule } from '../rule.js';
import { bytesInput, codecs, type CodecName } from '../samples/codec-samples.js';
import { noise } from '../samples/noise.js';
import { outputBytes } from '../samples/sample.js';
import { text } from '../samples/text.js';
import { tolerance } from '../tolerance.js';

const inputs: Readonly<Record<string, Buffer>> = {
  'no bytes': Buffer.alloc(0),
  'one byte': Buffer.from('x'),
  text: text(200_000, 1),
  zeros: Buffer.alloc(1_000_000),
  noise: Buffer.from(noise(20_000, 1).map((value) => Math.floor(value * 256))),
};

function compression(codec: CodecName, level: number, data: Uint8Array): TaskRequest {
  const { id: op, version } = OPS.compress;
  const args: readonly NativeArg[] = [
    ['codec', ArgType.INT, Codec[codec]],
    ['level', ArgType.INT, level],
  ];
  return { op, version, args, inputs: [bytesInput(data)] };
}

/** Without a codec, the first bytes say which it is. */
function decompression(data: Uint8Array, codec?: CodecName): TaskRequest {
  const { id: op, version } = OPS.decompress;
  const args: readonly NativeArg[] =
    codec === undefined ? [] : [['codec', ArgType.INT, Codec[codec]]];
  return { op, version, args, inputs: [bytesInput(data)] };
}

/** The least level, the default, and one above it: what takes long says nothing more. */
function levelsOf(codec: CodecName): number[] {
  const { min, default: usual, max } = CODEC_LEVELS[codec];
  return [...new Set([min, usual, Math.min(max, usual + 3)])];
}

async function compareCompression({ plugin, oracle }: Comparison): Promise<string | undefined> {
  let tried = 0;
  for (const codec of codecs) {
    for (const level of levelsOf(codec)) {
      for (const [name, data] of Object.entries(inputs)) {
        const request = compression(codec, level, data);
        if (plugin.refusal(request) !== undefined) continue;
        tried++;
        const what = `compress of ${name} with ${codec}, level ${level},`;
        const packed = outputBytes(await plugin.runWell(what, request), 0);
        const wanted = outputBytes(await runOnOracle(oracle, what, request), 0);
        const { sizeRatioMax, sizeSlackBytes } = tolerance.compress;
        if (packed.length > wanted.length * sizeRatioMax + sizeSlackBytes) {
          broken(`${what} made ${packed.length} bytes, the oracle ${wanted.length}`);
        }
        checkOffered(oracle, decompression(packed));
        const unpacked = await oracle.run(decompression(packed));
        if (unpacked.status !== ErrorCode.OK) {
          broken(`${what} made what the oracle refuses: ${unpacked.message}`);
        }
        if (!outputBytes(unpacked, 0).equals(data)) {
          broken(`${what} made what the oracle decompresses to other bytes`);
        }
      }
    }
  }
  return tried > 0 ? undefined : `${plugin.name} takes none of the codecs`;
}

/** What decompress must refuse; with which code, plugin.h says. */
function damaged(archive: Buffer): Readonly<Record<string, Buffer>> {
  return {
    'without its last byte': archive.subarray(0, -1),
    'cut in half': archive.subarray(0, archive.length / 2),
    'with bytes after its end': Buffer.concat([archive, Buffer.from('and more')]),
  };
}

async function compareDecompression(comparison: Comparison): Promise<string | undefined> {
  const { plugin, oracle } = comparison;
  const nothing = new Uint8Array();
  // One that does not go by the first bytes is told the codec, of those that it has.
  const told = plugin.refusal(decompression(nothing)) !== undefined;
  const taken = codecs.filter(
    (codec) => !told || plugin.refusal(decompression(nothing, codec)) === undefined,
  );
  for (const codec of taken) {
    const named = told ? codec : undefined;
    for (const [name, data] of Object.entries(inputs)) {
      const archive = outputBytes(
        await runOnOracle(
          oracle,
          'compress',
          compression(codec, CODEC_LEVELS[codec].default, data),
        ),
        0,
      );
      await compareUnpacked(comparison, `${codec} of ${name}`, decompression(archive, named), data);
      const twice = decompression(Buffer.concat([archive, archive]), named);
      const both = Buffer.concat([data, data]);
      await compareUnpacked(comparison, `two members of ${codec} of ${name}`, twice, both);
      checkOffered(oracle, decompression(archive));
      for (const [how, bytes] of Object.entries(damaged(archive))) {
        const wanted = await oracle.run(decompression(bytes));
        const given = await plugin.run(decompression(bytes, named));
        if (given.status === wanted.status) continue;
        broken(
          `decompress of ${codec} of ${name} ${how} ended with status ${given.status}, on the oracle with ${wanted.status}`,
        );
      }
    }
  }
  return taken.length > 0 ? undefined : `${plugin.name} takes none of the codecs`;
}

async function compareUnpacked(
  { plugin }: Pick<Comparison, 'plugin'>,
  what: string,
  request: TaskRequest,
  data: Buffer,
): Promise<void> {
  const unpacked = outputBytes(await plugin.runWell(`decompress of ${what}`, request), 0);
  if (!unpacked.equals(data)) broken(`decompress of ${what} gives other bytes than went in`);
}

export const codecOracleRules: readonly Rule[] = [
  {
    id: 'oracle-compress',
    title: 'compresses to what the oracle decompresses to the same bytes, and about as small',
    usesOracle: true,
    check: (subject) => withOracle(subject, OPS.compress.id, compareCompression),
  },
  {
    id: 'oracle-decompress',
    title: 'decompresses what the oracle compressed, and refuses what the oracle refuses',
    usesOracle: true,
    check: (subject) => withOracle(subject, OPS.decompress.id, compareDecompression),
  },
];
