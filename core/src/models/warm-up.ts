import { randomFillSync } from 'node:crypto';

import type { Backend, Device, LoadedModel, NamedTensor } from '../backend.js';
import { AxleError } from '../errors.js';
import { DATA_TYPE_BYTES } from '../generated/constants.js';
import { singleOp } from '../op.js';
import { elementCount, Tensor } from '../tensor.js';
import type { WarmUp, WarmUpInput } from './config.js';
import type { Model } from './model.js';

/** Most bytes of one made-up input. */
const inputBytesMax = 256 * 1024 * 1024;
const outputBytesMax = 1024 * 1024 * 1024;

/**
 * Runs a model's warm-ups on a device that has just loaded it, so that the first call finds memory allocated and
 * kernels chosen.
 *
 * @throws AxleError of the run that failed, naming the warm-up.
 */
export async function warmUp(
  backend: Backend,
  device: Device,
  loaded: LoadedModel,
  model: Model,
): Promise<void> {
  for (const entry of model.warmUps) {
    const inputs = entry.inputs.map((input) => madeUp(input, entry, model));
    for (let run = 0; run < entry.runs; run++)
      await runOnce(backend, device, loaded, inputs, entry);
  }
}

function madeUp(
  input: WarmUpInput,
  { name: warmUpName, batchSize }: WarmUp,
  model: Model,
): NamedTensor {
  const { name, dtype, data } = input;
  const shape = model.maxBatchSize > 0 ? [Math.max(1, batchSize), ...input.shape] : input.shape;
  const bytes = elementCount(shape) * (dtype === 'BYTES' ? 4 : DATA_TYPE_BYTES[dtype]);
  if (bytes > inputBytesMax) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `warm-up '${warmUpName}' of model '${model.name}' asks for ${bytes} bytes for input '${name}'; the limit is ${inputBytesMax}`,
    );
  }
  const values = new Uint8Array(bytes);
  // Random bits are no sensible floating-point numbers: those stay between 0 and 1.
  if (data === 'random' && dtype === 'FP32') {
    const floats = new Float32Array(values.buffer);
    for (let i = 0; i < floats.length; i++) floats[i] = Math.random();
  } else if (data === 'random' && /^U?INT/.test(dtype)) {
    randomFillSync(values);
  }
  return { name, tensor: Tensor.fromBytes(dtype, values, shape) };
}

function runOnce(
  backend: Backend,
  device: Device,
  model: LoadedModel,
  inputs: readonly NamedTensor[],
  { name }: WarmUp,
): Promise<void> {
  return new Promise((resolve, reject) => {
    backend.submit(device, [
      {
        range: singleOp('infer'),
        args: {},
        model,
        inputs,
        outputBytesMax,
        deadlineAt: undefined,
        settle: (outcome) => {
          if (outcome.ok) resolve();
          else reject(failed(outcome.error, name));
        },
      },
    ]);
  });
}

function failed(error: AxleError, name: string): AxleError {
  return new AxleError(error.code, `warm-up '${name}' failed: ${error.message}`, { cause: error });
}
