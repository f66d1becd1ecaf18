import { OPS, type CallReport, type ErrorCodeName, type StepReport } from '@axle/core/internal';

import { DEVICE_NONE, wireLimits } from '../generated/wire.js';
import type { ResultFrame, WireStep } from '../wire/frames.js';
import { toWireUs } from '../wire/time.js';
import type { Front } from './front.js';

type Making = Pick<ResultFrame, 'steps' | 'fallbacks'>;

/** A report would be for nobody. */
export const unasked: Making = { steps: [], fallbacks: [] };

const batchSizeMax = 65_535;
const messageLengthMax = 200;

/** Which devices ran what of a call, and which failed first: a little of each, so that outputs find room too. */
export function makingOf(front: Front, { steps, fallbacks }: CallReport): Making {
  return {
    steps: steps.slice(0, wireLimits.stepsMax).map((step) => wireStep(front, step)),
    fallbacks: fallbacks
      .slice(0, wireLimits.fallbacksMax)
      .map(({ code, message, devices: [device = ''] }) => ({
        code: code as ErrorCodeName,
        device: front.deviceIndexOf(device),
        message: message.slice(0, messageLengthMax),
      })),
  };
}

const classifySteps: readonly string[] = OPS.classify.chain ?? [];

function wireStep(front: Front, { step, device, batchSize, timingMs }: StepReport): WireStep {
  const [from = '', to = from] = step.split('..');
  const first = Math.max(0, classifySteps.indexOf(from));
  return {
    first,
    last: Math.max(first, classifySteps.indexOf(to)),
    batchSize: Math.min(batchSize, batchSizeMax),
    device: device === '' ? DEVICE_NONE : front.deviceIndexOf(device),
    queueUs: toWireUs(timingMs.queue),
    transferUs: toWireUs(timingMs.transfer),
    computeUs: toWireUs(timingMs.compute),
  };
}
