import { OPS } from '../../generated/constants.js';
import type { NativeOpInfo } from '../../native-binding.js';
import { withDevice, type DeviceUnderTest } from '../device-under-test.js';
import type { TaskCompletion } from '../host-connection.js';
import { withOracle, type Comparison } from '../oracle.js';
import type { ModelSource, TaskInput, TaskRequest } from '../plugin-under-test.js';
import { Attempts, broken, type Rule } from '../rule.js';
import { rangeSamples } from '../samples/model-samples.js';
import { outputBytes, plain, type OpSample } from '../samples/sample.js';
import { rankingOf } from '../samples/scores.js';
import { decodeValues } from '../tensor-values.js';
import { firstDifference, rankingDifference, tolerance } from '../tolerance.js';
import { checkCompletion, withPlugin } from '../trials.js';

/** The op that does one step of classify by itself. Pixels come from nowhere: the images are known. */
const opOfStep = [OPS.decode, OPS.preprocess, OPS.infer, OPS.topk] as const;
const preprocessStep = 1;
const inferStep = 2;
const topkStep = 3;

/** Seeds of the images that are compared. */
const images = [0, 1, 2, 3, 4, 5, 6, 7];

const noRange = 'it offers no range of classify';

function isRange({ op, chainFirst, chainLast }: NativeOpInfo): boolean {
  return op === OPS.classify.id && chainLast > chainFirst;
}

/** Tasks of the steps of a range: undecoded images are given as the pixels that they have. */
interface Steps {
  readonly first: number;
  readonly last: number;
  readonly image: OpSample;
}

function stepsOf(
  { chainFirst, chainLast }: NativeOpInfo,
  image: OpSample,
  pixels: OpSample,
): Steps {
  const first = Math.max(chainFirst, preprocessStep);
  return { first, last: chainLast, image: chainFirst === 0 ? pixels : image };
}

function stepRequest(
  step: number,
  inputs: readonly TaskInput[],
  { request }: OpSample,
): TaskRequest {
  const { id: op, version } = opOfStep[step] ?? OPS.topk;
  return { op, version, inputs, args: request.args ?? [] };
}

function modelOf(step: number, { model }: OpSample): ModelSource | null {
  return step === inferStep && model !== undefined ? model.source : null;
}

/** Why a device does not take the steps one by one; undefined = it does. */
function stepRefusal(device: DeviceUnderTest, { first, last, image }: Steps): string | undefined {
  for (let step = first; step <= last; step++) {
    const refusal = device.refusal(stepRequest(step, [], image), modelOf(step, image));
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

async function runSteps(
  device: DeviceUnderTest,
  { first, last, image }: Steps,
): Promise<TaskCompletion> {
  let { inputs } = image.request;
  for (let step = first; ; step++) {
    const request = stepRequest(step, inputs, image);
    const done = await device.runWell(`step ${step} of classify`, request, modelOf(step, image));
    if (step === last) return done;
    inputs = done.outputs.slice(0, 1).map(({ dtype, dims, data }) => ({
      name: step + 1 === inferStep ? 'x' : null,
      dtype,
      dims,
      data,
    }));
  }
}

function difference(
  range: TaskCompletion,
  steps: TaskCompletion,
  last: number,
): string | undefined {
  if (last === topkStep) {
    const wanted = rankingOf(steps);
    const scoreOf = (index: number) => wanted.scores[wanted.indices.indexOf(index)] ?? NaN;
    return rankingDifference(rankingOf(range), wanted, scoreOf, tolerance.classify);
  }
  const dtype = steps.outputs[0]?.dtype ?? 0;
  const values = (completion: TaskCompletion) => decodeValues(dtype, outputBytes(completion, 0));
  return firstDifference(values(range), values(steps), tolerance.classify);
}

/**
 * Holds each image's result of a range against what `oracle` gives step by step.
 *
 * @returns why there is nothing to compare; undefined = all was compared.
 */
async function compareRange({ op, plugin, oracle }: Comparison): Promise<string | undefined> {
  const [sample] = rangeSamples(op, op.chainFirst, op.chainLast);
  const [pixelSample] = rangeSamples(op, preprocessStep, op.chainLast);
  if (sample === undefined || pixelSample === undefined) return undefined;
  const model = sample.model?.source ?? null;
  const refusal =
    plugin.refusal(sample.request, model) ?? stepRefusal(oracle, stepsOf(op, sample, pixelSample));
  if (refusal !== undefined) return refusal;
  for (const seed of images) {
    const image = sample.vary({ ...plain, seed });
    const fused = await plugin.run(image.request, model);
    checkCompletion(image, fused);
    const pixels = pixelSample.vary({ ...plain, seed });
    const wanted = await runSteps(oracle, stepsOf(op, image, pixels));
    const apart = difference(fused, wanted, op.chainLast);
    if (apart !== undefined) {
      broken(
        `${sample.label} on ${plugin.name} is not what its steps give on ${oracle.name}: ${apart}`,
      );
    }
  }
  return undefined;
}

/** What holds for several steps of a semantic op in one task. */
export const rangeRules: readonly Rule[] = [
  {
    id: 'range',
    title: 'gives by a range of classify what its own steps give one after another',
    check: (subject) =>
      withPlugin(subject, async (plugin) => {
        const ranges = plugin.info.ops.filter(isRange);
        const attempts = new Attempts(noRange);
        for (const device of plugin.info.devices.keys()) {
          await withDevice(plugin, device, async (tested) => {
            for (const op of ranges) {
              attempts.add(await compareRange({ op, plugin: tested, oracle: tested }));
            }
          });
        }
        attempts.check();
      }),
  },
];

export const rangeOracleRules: readonly Rule[] = [
  {
    id: 'oracle-classify',
    title: 'gives by a range of classify what the steps give on the oracle, within the tolerance',
    usesOracle: true,
    check: (subject) =>
      withOracle(subject, OPS.classify.id, (comparison) =>
        isRange(comparison.op) ? compareRange(comparison) : Promise.resolve(noRange),
      ),
  },
];
