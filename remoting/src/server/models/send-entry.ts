import type { AxleError, Model, TensorSpec } from '@axle/core/internal';

import { wireLimits } from '../../generated/wire.js';
import { cleanMessage } from '../../wire/text.js';
import type { Front } from '../front.js';
import type { ServedModel } from './server-models.js';

const noContent = new Uint8Array(32);

/** A MODEL_ENTRY, and the tensors that the model takes and gives. */
export function sendEntry(front: Front, id: number, served: ServedModel): void {
  const { name, version, contentId, bytes, model } = served;
  front.send({
    type: 'MODEL_ENTRY',
    id,
    contentId: Buffer.from(contentId, 'hex'),
    bytes,
    batchMax: model.maxBatchSize,
    labels: served.labels ?? model.classify?.labels.length ?? 0,
    name,
    version,
    format: model.source.format,
    problem: '',
    inputCount: model.inputs.length,
    outputCount: model.outputs.length,
  });
  sendSpecs(front, id, model);
}

/** Of a model that cannot be used, for what its name may be, too. */
export function sendProblem(
  front: Front,
  id: number,
  { name, version }: { readonly name: string; readonly version: string },
  error: AxleError,
): void {
  front.send({
    type: 'MODEL_ENTRY',
    id,
    contentId: noContent,
    bytes: 0,
    batchMax: 0,
    labels: 0,
    name: sayable(name),
    version,
    format: 'onnx',
    problem: error.message,
    inputCount: 0,
    outputCount: 0,
  });
}

export function sendSpecs(front: Front, id: number, { inputs, outputs }: Model): void {
  for (const [role, specs] of [
    ['INPUT', inputs],
    ['OUTPUT', outputs],
  ] as const) {
    specs.forEach(({ name, dtype, shape, anyRank = false }: TensorSpec, index) => {
      front.send({ type: 'TENSOR_SPEC', id, role, dtype, index, name, shape, anyRank });
    });
  }
}

function sayable(name: string): string {
  return cleanMessage(name.replaceAll(/[\n\t]/g, '\u{fffd}'), wireLimits.nameBytesMax);
}
