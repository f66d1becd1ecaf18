import { dataTypeNameOf } from '../../data-types.js';
import { ArgType, DataType, OPS } from '../../generated/constants.js';
import type { NativeArg } from '../../native-binding.js';
import { compareOutputs } from '../compare-outputs.js';
import { onnxType, type OnnxTypeName } from '../onnx-writer.js';
import { runOnOracle, withOracle, type Comparison } from '../oracle.js';
import type { ModelSource, TaskInput, TaskRequest } from '../plugin-under-test.js';
import { broken, type Rule } from '../rule.js';
import { noise } from '../samples/noise.js';
import { rankingOf } from '../samples/scores.js';
import { classifierModel, sumModel, sumWidth } from '../samples/tiny-models.js';
import { encodeValues } from '../tensor-values.js';
import { inferTolerance, rankingDifference, tolerance } from '../tolerance.js';

// ---- preprocess ----------------------------------------------------------------------------------

interface ImageCase {
  readonly what: string;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly args: readonly NativeArg[];
  readonly scaled: boolean;
  /** How much of an output is one step of 0..255. */
  readonly unit: number;
}

const floats = (values: readonly number[]) => encodeValues(DataType.FP32, values);

const size = (width: number, height: number): NativeArg[] => [
  ['width', ArgType.INT, width],
  ['height', ArgType.INT, height],
];

const colour = { width: 24, height: 16, channels: 3, scaled: false, unit: 1 } as const;

const imageCases: readonly ImageCase[] = [
  { ...colour, what: 'as it is', args: [] },
  { ...colour, what: 'channels last', args: [['layout', ArgType.STRING, 'nhwc']] },
  {
    ...colour,
    what: 'with mean and std',
    args: [
      ['mean', ArgType.BYTES, floats([123.675, 116.28, 103.53])],
      ['std', ArgType.BYTES, floats([58.395, 57.12, 57.375])],
    ],
    unit: 1 / 57,
  },
  {
    ...colour,
    what: 'standardized',
    args: [['standardize', ArgType.STRING, 'image']],
    unit: 1 / 32,
  },
  { ...colour, what: 'of one channel', channels: 1, args: [] },
  { ...colour, what: 'scaled down', args: size(12, 8), scaled: true },
  { ...colour, what: 'scaled to another shape', args: size(7, 13), scaled: true },
  { ...colour, what: 'scaled up', args: size(48, 40), scaled: true },
];

/** Waves that no filter of quality blurs or rings on much. */
function smoothPixels({ width, height, channels }: ImageCase): Uint8Array {
  return Uint8Array.from({ length: width * height * channels }, (_, at) => {
    const channel = at % channels;
    const x = Math.floor(at / channels) % width;
    const y = Math.floor(at / channels / width);
    return 128 + 100 * Math.sin(x / 6 + channel) * Math.cos(y / 7 - channel);
  });
}

async function comparePreprocess({ plugin, oracle, op }: Comparison): Promise<undefined> {
  for (const image of imageCases) {
    const { width, height, channels, args, scaled, unit } = image;
    const dims = [height, width, channels];
    const pixels = { name: null, dtype: DataType.UINT8, dims, data: smoothPixels(image) };
    const request: TaskRequest = { op: op.op, version: op.version, args, inputs: [pixels] };
    const what = `preprocess ${image.what}`;
    const limits = tolerance.preprocess;
    const { absolute } = scaled ? limits.scaled : limits.unscaled;
    compareOutputs(
      what,
      await plugin.runWell(what, request),
      await runOnOracle(oracle, what, request),
      'the oracle',
      () => ({ relative: 0, absolute: absolute * unit }),
    );
  }
}

// ---- infer ---------------------------------------------------------------------------------------

const rowsTried = [1, 2, 7];

async function compareInfer(comparison: Comparison): Promise<string | undefined> {
  const { source } = classifierModel();
  const refusal = comparison.plugin.refusal(inferRequest([]), source);
  if (refusal !== undefined) return refusal;
  for (const rows of rowsTried) {
    const values = noise(rows * 12, rows).map((value) => value * 4 - 2);
    const dims = [rows, 3, 2, 2];
    const data = encodeValues(DataType.FP32, values);
    await compareModel(comparison, source, { name: 'x', dtype: DataType.FP32, dims, data });
  }
  for (const type of Object.keys(onnxType) as OnnxTypeName[]) await compareSum(comparison, type);
  return undefined;
}

/** A type that one of the two has no kernels for is left out. */
async function compareSum(comparison: Comparison, type: OnnxTypeName): Promise<void> {
  const { source } = sumModel(type);
  const dtype = DataType[type];
  const values = noise(2 * sumWidth, 5).map((value) => Math.floor(value * 64) - 32);
  const data = encodeValues(dtype, values);
  const input = { name: 'x', dtype, dims: [2, sumWidth], data };
  if (comparison.plugin.refusal(inferRequest([input]), source) !== undefined) return;
  const { plugin, oracle } = comparison;
  if (!(await plugin.loads(source)) || !(await oracle.loads(source))) return;
  await compareModel(comparison, source, input);
}

async function compareModel(
  { plugin, oracle }: Comparison,
  source: ModelSource,
  input: TaskInput,
): Promise<void> {
  const what = `infer of ${source.name}, ${input.dims[0]} rows,`;
  const request = inferRequest([input]);
  compareOutputs(
    what,
    await plugin.runWell(what, request, source),
    await runOnOracle(oracle, what, request, source),
    'the oracle',
    (dtype) => inferTolerance(dataTypeNameOf(dtype) ?? 'UINT8'),
  );
}

function inferRequest(inputs: readonly TaskInput[]): TaskRequest {
  const { id: op, version } = OPS.infer;
  return { op, version, args: [], inputs };
}

// ---- topk ----------------------------------------------------------------------------------------

const scoreLists: Readonly<Record<string, readonly number[]>> = {
  'one score': [3],
  'a thousand scores': noise(1000, 7).map((value) => value * 20 - 10),
  'equal scores': new Array<number>(50).fill(0.5),
  'scores with infinities': [1, -Infinity, Infinity, 0, -5],
  'scores with NaN': [NaN, 1, NaN, 2, -1],
};

async function compareTopk({ plugin, oracle, op }: Comparison): Promise<undefined> {
  for (const [name, scores] of Object.entries(scoreLists)) {
    for (const k of [1, 5, 5000]) {
      for (const softmax of [false, true]) {
        const what = `topk of ${name}, k ${k}${softmax ? ', softmax' : ''},`;
        const request: TaskRequest = {
          op: op.op,
          version: op.version,
          args: [
            ['k', ArgType.INT, k],
            ['softmax', ArgType.BOOL, softmax],
          ],
          inputs: [scoresInput(scores)],
        };
        const given = rankingOf(await plugin.runWell(what, request));
        const wanted = rankingOf(await runOnOracle(oracle, what, request));
        const all = [['k', ArgType.INT, scores.length], ...(request.args ?? []).slice(1)] as const;
        const whole = rankingOf(await runOnOracle(oracle, what, { ...request, args: all }));
        const scoreOf = (index: number) => whole.scores[whole.indices.indexOf(index)] ?? NaN;
        const apart = rankingDifference(given, wanted, scoreOf, tolerance.topk);
        if (apart !== undefined) broken(`${what} ${apart}`);
      }
    }
  }
}

function scoresInput(scores: readonly number[]): TaskInput {
  return { name: null, dtype: DataType.FP32, dims: [scores.length], data: floats(scores) };
}

export const tensorOracleRules: readonly Rule[] = [
  {
    id: 'oracle-preprocess',
    title: 'makes of an image what the oracle makes of it, within the tolerance',
    usesOracle: true,
    check: (subject) => withOracle(subject, OPS.preprocess.id, comparePreprocess),
  },
  {
    id: 'oracle-infer',
    title: 'infers what the oracle infers, within the tolerance of the type',
    usesOracle: true,
    check: (subject) => withOracle(subject, OPS.infer.id, compareInfer),
  },
  {
    id: 'oracle-topk',
    title: 'ranks scores as the oracle does, but for those within the tolerance',
    usesOracle: true,
    check: (subject) => withOracle(subject, OPS.topk.id, compareTopk),
  },
];
