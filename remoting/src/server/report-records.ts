import { OPS, type CallReport, type OpRange, type StepReport } from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';
import type { WireFallback, WireStep } from '../wire/frames.js';
import { padded } from '../wire/numbers.js';
import { cleanMessage } from '../wire/text.js';
import { toWireUs } from '../wire/time.js';
import type { Front } from './front.js';

export const batchSizeMax = 65_535;
const stepBytes = 24;
const fallbackBytes = 8;

/**
 * What a RESULT tells of its making, as far as there is room for it in the frame.
 *
 * @param range that the call asked for
 */
export function reportRecords(
  front: Front,
  { steps, fallbacks }: CallReport,
  range: OpRange,
  roomBytes: number,
): { steps: WireStep[]; fallbacks: WireFallback[] } {
  const stepsRoom = Math.max(0, Math.floor(roomBytes / stepBytes));
  const told = steps.slice(0, Math.min(wireLimits.stepsMax, stepsRoom)).map((step): WireStep => {
    const { device, batchSize, timingMs } = step;
    return {
      ...stepsOf(step, range),
      batchSize: Math.min(batchSize, batchSizeMax),
      device: front.deviceIndexOf(device),
      queueUs: toWireUs(timingMs.queue),
      transferUs: toWireUs(timingMs.transfer),
      computeUs: toWireUs(timingMs.compute),
    };
  });
  let left = roomBytes - told.length * stepBytes;
  const failed: WireFallback[] = [];
  for (const { code, devices, message } of fallbacks.slice(0, wireLimits.fallbacksMax)) {
    const text = cleanMessage(message, wireLimits.messageBytesMax);
    left -= fallbackBytes + padded(Buffer.byteLength(text));
    if (left < 0) break;
    failed.push({ code, device: front.deviceIndexOf(devices[0] ?? ''), message: text });
  }
  return { steps: told, fallbacks: failed };
}

const classifySteps: readonly string[] = OPS.classify.chain ?? [];

/** Which steps of the op a task ran: of a chain that was planned here, a part. */
function stepsOf(
  { step }: StepReport,
  { op, first, last }: OpRange,
): { first: number; last: number } {
  if (op !== OPS.classify.id) return { first, last };
  const [from = '', to = from] = step.split('..');
  const [begin, end] = [classifySteps.indexOf(from), classifySteps.indexOf(to)];
  return begin < 0 || end < begin ? { first, last } : { first: begin, last: end };
}
