import type { Backend, Device, LoadedModel, NamedTensor, OfferedOp } from '../backend.js';
import { AxleError } from '../errors.js';
import type { DataTypeName } from '../generated/constants.js';
import { hasFlag, sameRange, singleOp, type OpArgs, type OpRange } from '../op.js';
import { argsOf, rangeOf } from '../plans/chain.js';
import { classifyChain } from '../plans/classify.js';
import { encodePng } from '../png.js';
import { alonePolicy } from '../scheduling/batch-policy.js';
import type { Clock, DeviceQueue } from '../scheduling/device-queue.js';
import { Tensor } from '../tensor.js';
import type { WarmUp, WarmUpInput } from './config.js';
import type { ClassifySettings, Model } from './model.js';
import type { Preprocess } from './preprocess.js';
import { bytesOfShape, randomValues, zeros } from './random-values.js';

/** Most bytes of one made-up input. */
const inputBytesMax = 256 * 1024 * 1024;
const outputBytesMax = 1024 * 1024 * 1024;
/** Beside the tenants of calls, so that no one of them pays for what all use. */
const tenant = 'axle.warm-up';

/** What a device runs the model by, and what it takes for that. */
interface Course {
  readonly range: OfferedOp;
  readonly args: OpArgs;
  /** The tasks of one run, which may be computed together. */
  readonly tasks: (warmUp: WarmUp) => readonly (readonly NamedTensor[])[];
}

/**
 * Runs a model's warm-ups on a device that has just loaded it, so that the first call finds memory allocated and
 * kernels chosen. They wait in the device's queue like calls, as those of one more tenant. On a device that runs the
 * model only together with other steps of classify, that is what is run, on an image in place of the inputs that the
 * config describes.
 *
 * @throws AxleError of the run that failed, naming the warm-up; UNIMPLEMENTED where the device offers nothing that runs
 * the model.
 */
export async function warmUp(
  queue: DeviceQueue,
  clock: Clock,
  backend: Backend,
  loaded: LoadedModel,
  model: Model,
): Promise<void> {
  if (model.warmUps.length === 0) return;
  const course = courseOf(backend, queue.device, model);
  for (const entry of model.warmUps) {
    const tasks = course.tasks(entry);
    for (let run = 0; run < entry.runs; run++) {
      const outcomes = await Promise.allSettled(
        tasks.map((inputs) => runOnce(queue, clock(), course, loaded, inputs, entry, tasks.length)),
      );
      // Only when all are done: whoever is told of a failure unloads the model.
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    }
  }
}

function courseOf(backend: Backend, device: Device, model: Model): Course {
  const offered = (range: OpRange, args: OpArgs) => {
    const op = backend.ops.find((candidate) => sameRange(candidate, range));
    if (op === undefined) return undefined;
    const { score } = backend.supports(device, { range: op, args, model: model.source });
    return score > 0 ? op : undefined;
  };
  const infer = offered(singleOp('infer'), {});
  if (infer !== undefined) {
    return { range: infer, args: {}, tasks: (entry) => [tensorsFor(entry, model)] };
  }
  const course = model.classify && classifyCourse(model, model.classify, offered);
  if (course !== undefined) return course;
  throw new AxleError(
    'UNIMPLEMENTED',
    `model '${model.name}' has warm-ups, and ${device.id} offers nothing that runs them; ` +
      `take model_warmup out of its config to load it there all the same`,
  );
}

/** The range with the fewest other steps: what the config asks for is infer. */
function classifyCourse(
  model: Model,
  { preprocess }: ClassifySettings,
  offered: (range: OpRange, args: OpArgs) => OfferedOp | undefined,
): Course | undefined {
  const chain = classifyChain(model, 1);
  const steps = chain.steps.map(({ name }) => name);
  const inferStep = steps.indexOf('infer');
  for (let first = inferStep; first >= 0; first--) {
    for (let last = inferStep; last < steps.length; last++) {
      const args = argsOf(chain, first, last);
      const range = offered(rangeOf(chain, first, last), args);
      if (range === undefined) continue;
      if (first === inferStep) {
        return { range, args, tasks: (entry) => [tensorsFor(entry, model)] };
      }
      const encoded = steps[first] === 'decode';
      return { range, args, tasks: (entry) => imagesFor(entry, model, preprocess, encoded) };
    }
  }
  return undefined;
}

/** One task with all items. */
function tensorsFor(entry: WarmUp, model: Model): readonly NamedTensor[] {
  return entry.inputs.map((input) => madeUp(input, entry, model));
}

/** One task for each item. */
function imagesFor(
  { name, batchSize }: WarmUp,
  model: Model,
  { width, height, channels }: Preprocess,
  encoded: boolean,
): readonly (readonly NamedTensor[])[] {
  const shape = [height, width, encoded ? 3 : channels];
  checkBytes('UINT8', shape, `the image of warm-up '${name}' of model '${model.name}'`);
  const pixels = randomValues('UINT8', shape);
  const image = encoded ? pngOf(pixels.bytes, width, height) : pixels;
  return Array.from({ length: Math.max(1, batchSize) }, () => [{ name: '', tensor: image }]);
}

function pngOf(rgb: Uint8Array, width: number, height: number): Tensor {
  const png = encodePng(rgb, width, height);
  return Tensor.fromBytes('UINT8', png, [png.byteLength]);
}

function madeUp(
  { name, dtype, shape: itemShape, data }: WarmUpInput,
  { name: warmUpName, batchSize }: WarmUp,
  model: Model,
): NamedTensor {
  const shape = model.maxBatchSize > 0 ? [Math.max(1, batchSize), ...itemShape] : itemShape;
  const what = `input '${name}' of warm-up '${warmUpName}' of model '${model.name}'`;
  checkBytes(dtype, shape, what);
  const tensor = data === 'random' ? randomValues(dtype, shape) : zeros(dtype, shape);
  return { name, tensor };
}

function checkBytes(dtype: DataTypeName, shape: readonly number[], what: string): void {
  // No number may hold what it would take: a tensor of it cannot be asked.
  const elements = shape.reduce((product, size) => product * size, 1);
  const bytes = elements > inputBytesMax ? elements : bytesOfShape(dtype, shape);
  if (bytes <= inputBytesMax) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `${what} takes ${bytes} bytes or more; the limit is ${inputBytesMax}: give the warm-up a smaller batch_size or smaller dims`,
  );
}

function runOnce(
  queue: DeviceQueue,
  now: number,
  { range, args }: Course,
  model: LoadedModel,
  inputs: readonly NamedTensor[],
  { name, batchSize }: WarmUp,
  together: number,
): Promise<void> {
  const batchMax = range.batchMax === 0 ? together : Math.min(range.batchMax, together);
  const itemsMax = hasFlag(range.flags, 'BATCHABLE') ? batchMax : 1;
  const { contentId } = model.source;
  return new Promise((resolve, reject) => {
    queue.add(
      {
        range,
        args,
        model,
        inputs,
        outputBytesMax,
        deadlineAt: undefined,
        // Of its own: what first runs take tells nothing of calls.
        batchKey: `warm-up ${contentId} ${itemsMax}`,
        modelKey: contentId,
        policy: { ...alonePolicy, itemsMax },
        items: Math.max(1, batchSize / together),
        priority: 0,
        tenant,
        weight: 1,
        repeatable: false,
      },
      {
        taskDone: (outcome) => {
          if (outcome.ok) resolve();
          else reject(failed(outcome.error, name));
        },
      },
      now,
    );
  });
}

function failed(error: AxleError, name: string): AxleError {
  return new AxleError(error.code, `warm-up '${name}' failed: ${error.message}`, { cause: error });
}
