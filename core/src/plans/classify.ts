import { AxleError } from '../errors.js';
import type { ClassifySettings, Model } from '../models/model.js';
import type { Preprocess } from '../models/preprocess.js';
import { OPS } from '../generated/constants.js';
import { fusedRange, type OpArgs } from '../op.js';
import { step, type Chain } from './chain.js';

/**
 * classify = decode -> preprocess -> infer -> topk, for one model.
 *
 * @throws AxleError FAILED_PRECONDITION when the model takes no images.
 */
export function classifyChain(model: Model, topK: number): Chain {
  if (model.isElsewhere) return wholeClassifyChain(topK);
  const settings = model.classify;
  if (settings === undefined) throw new AxleError('FAILED_PRECONDITION', model.classifyProblem);
  const { preprocess, input, output } = settings;
  return {
    op: 'classify',
    main: 2,
    steps: [
      step('decode', { usesModel: false, args: decodeArgs(preprocess) }),
      step('preprocess', { usesModel: false, args: preprocessArgs(preprocess) }),
      step('infer', {
        usesModel: true,
        args: {},
        adapt: (outputs) => outputs.map(({ tensor }) => ({ name: input, tensor })),
      }),
      step('topk', {
        usesModel: false,
        args: topkArgs(settings, topK),
        adapt: (outputs) =>
          outputs
            .filter((candidate) => candidate.name === output)
            .map(({ tensor }) => ({ name: '', tensor })),
      }),
    ],
  };
}

/** In one task: who has the model's config knows what an image becomes on its way. */
function wholeClassifyChain(topK: number): Chain {
  const range = fusedRange('classify', 0, (OPS.classify.chain?.length ?? 1) - 1);
  const whole = { name: 'classify', range, usesModel: true, args: { k: topK } };
  return { op: 'classify', main: 0, steps: [whole] };
}

/** Larger images are scaled as they are decoded: moving their pixels would cost more than it saves. */
const unscaledPixelsMax = 512 * 512;

function decodeArgs({ width, height, channels, fit }: Preprocess): OpArgs {
  return { width, height, channels, fit, unscaled_pixels_max: unscaledPixelsMax };
}

function preprocessArgs({ width, height, layout, standardize, mean, std }: Preprocess): OpArgs {
  return { width, height, layout, standardize, mean: floats(mean), std: floats(std) };
}

function topkArgs(settings: ClassifySettings, topK: number): OpArgs {
  return { k: topK, softmax: settings.scores === 'logits', output: settings.output };
}

function floats(values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}
