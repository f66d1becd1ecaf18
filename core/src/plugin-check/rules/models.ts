import { messageOf } from '../../errors.js';
import { DataType, ErrorCode } from '../../generated/constants.js';
import type { NativeTensorSpec } from '../../native-binding.js';
import { leftBehind } from '../left-behind.js';
import type { ModelSource, PluginUnderTest, TaskInput } from '../plugin-under-test.js';
import { Attempts, broken, type CheckedPlugin, type Rule } from '../rule.js';
import { damagedModels, modelInTwoFiles, unknownFormat } from '../samples/damaged-models.js';
import type { OpSample } from '../samples/sample.js';
import { classifierModel, type TinyModel } from '../samples/tiny-models.js';
import {
  allOf,
  checkCompletion,
  hasMessage,
  isRefusal,
  loadTaken,
  notTaken,
  onModel,
  withPlugin,
  withQueue,
} from '../trials.js';

const loadsAtOnce = 8;
const tasksBeforeUnload = 64;
const modelsPerRound = 3;
/** Its weights are about 1 MB. */
const largeModelClasses = 20_000;
const leakBytesPerRoundMax = 800 * 1024;

interface ModelTrial {
  readonly plugin: PluginUnderTest;
  readonly device: number;
  readonly queue: number;
  readonly sample: OpSample;
  readonly model: TinyModel;
}

/** Says why there was nothing to try, if there was not. */
type ModelWork = (trial: ModelTrial) => Promise<string | void>;

/** Runs `work` with the first sample of each op that runs a model, on each device that takes it. Nothing is loaded. */
async function withModelSamples(subject: CheckedPlugin, work: ModelWork): Promise<void> {
  await withPlugin(subject, async (plugin) => {
    const attempts = new Attempts('none of its ops runs a model');
    for (const device of plugin.info.devices.keys()) {
      for (const op of plugin.info.ops) {
        const sample = plugin.samplesOf(op).find(({ model }) => model !== undefined);
        const model = sample?.model;
        if (sample === undefined || model === undefined) continue;
        const { score, reason } = plugin.supports(device, sample.request, model.source);
        const refusal =
          score === 0
            ? notTaken(plugin, device, sample, reason)
            : await withQueue(plugin, device, (queue) =>
                work({ plugin, device, queue, sample, model }),
              );
        attempts.add(refusal ?? undefined);
      }
    }
    attempts.check();
  });
}

/** One device and one op will do for what does not depend on the op. */
async function withDevices(subject: CheckedPlugin, work: ModelWork): Promise<void> {
  const outcomes = new Map<number, string | void>();
  await withModelSamples(subject, async (trial) => {
    if (!outcomes.has(trial.device)) outcomes.set(trial.device, await work(trial));
    return outcomes.get(trial.device);
  });
}

async function checkRun(trial: ModelTrial, modelId: number): Promise<void> {
  const sample = onModel(trial.sample, modelId);
  checkCompletion(sample, await trial.plugin.run(trial.queue, sample.request));
}

function specText(specs: readonly NativeTensorSpec[]): string {
  return specs
    .map(({ name, dtype, dims }) => `${name}: type ${dtype} [${dims.join(', ')}]`)
    .join('; ');
}

async function checkInfo({ plugin, device, model }: ModelTrial): Promise<void> {
  const info = await loadTaken(plugin, device, model);
  await plugin.unloadModel(info.modelId);
  for (const side of ['inputs', 'outputs'] as const) {
    const [said, wanted] = [specText(info[side]), specText(model[side])];
    if (said !== wanted) broken(`model_info says of its ${side} ${said}, and not ${wanted}`);
  }
}

async function checkTwice(trial: ModelTrial): Promise<void> {
  const { plugin, device, model } = trial;
  const first = await loadTaken(plugin, device, model);
  const second = await loadTaken(plugin, device, model);
  await checkRun(trial, first.modelId);
  await plugin.unloadModel(first.modelId);
  await checkRun(trial, second.modelId);
  await plugin.unloadModel(second.modelId);
}

async function checkAtOnce(trial: ModelTrial): Promise<void> {
  const { plugin, device, model } = trial;
  const loads = Array.from({ length: loadsAtOnce }, () => loadTaken(plugin, device, model));
  const loaded = await Promise.all(loads);
  await Promise.all(loaded.map(({ modelId }) => checkRun(trial, modelId)));
  await Promise.all(loaded.map(({ modelId }) => plugin.unloadModel(modelId)));
}

async function checkUnload(trial: ModelTrial): Promise<void> {
  const { plugin, device, queue, model } = trial;
  const { modelId } = await loadTaken(plugin, device, model);
  const sample = onModel(trial.sample, modelId);
  const requests = new Array<typeof sample.request>(tasksBeforeUnload).fill(sample.request);
  const tasks = plugin.submit(queue, requests);
  await plugin.unloadModel(modelId);
  for (const completion of await allOf(tasks)) checkCompletion(sample, completion);
  const { modelId: next } = await loadTaken(plugin, device, model);
  await checkRun(trial, next);
  await plugin.unloadModel(next);
}

type Loaded = { readonly modelId: number } | { readonly error: unknown };

function tryLoad({ plugin, device }: ModelTrial, source: ModelSource): Promise<Loaded> {
  return plugin.loadModel(device, source).catch((error: unknown) => ({ error }));
}

function statusOf(error: unknown): number | undefined {
  return (error as { status?: number }).status;
}

async function checkDamaged(trial: ModelTrial): Promise<void> {
  await checkTwice(trial);
  for (const { what, source } of damagedModels()) {
    const outcome = await tryLoad(trial, source);
    if ('modelId' in outcome) broken(`it loaded ${what}`);
    if (statusOf(outcome.error) === ErrorCode.INVALID_ARGUMENT) continue;
    broken(
      `it refused ${what} with status ${statusOf(outcome.error)}, not INVALID_ARGUMENT: ${messageOf(outcome.error)}`,
    );
  }
  await checkTwice(trial);
}

async function checkFormat(trial: ModelTrial): Promise<void> {
  const { plugin, device, sample, model } = trial;
  const source = unknownFormat(model.source);
  if (plugin.supports(device, sample.request, source).score === 0) return;
  const outcome = await tryLoad(trial, source);
  if ('modelId' in outcome) broken(`it loaded a model of the format '${source.format}'`);
}

async function checkFiles(trial: ModelTrial): Promise<string | undefined> {
  const { plugin, device, sample } = trial;
  const source = modelInTwoFiles();
  if (plugin.supports(device, sample.request, source).score === 0) {
    return 'it takes no model whose weights are in a file of their own';
  }
  const outcome = await tryLoad(trial, source);
  if ('error' in outcome) {
    broken(`it refused a model whose weights are in a second file: ${messageOf(outcome.error)}`);
  }
  await checkRun(trial, outcome.modelId);
  await plugin.unloadModel(outcome.modelId);
  return undefined;
}

/** Of the right type for {@link classifierModel}, but for what is said of them. */
function misfits(): Readonly<Record<string, readonly TaskInput[]>> {
  const values = new Uint8Array(48);
  const x = { name: 'x', dtype: DataType.FP32, dims: [1, 3, 2, 2], data: values };
  return {
    'no input': [],
    'an input too many': [x, { ...x, name: 'z' }],
    'an input of another name': [{ ...x, name: 'axle-no-such-input' }],
    'an input of another type': [{ ...x, dtype: DataType.INT32 }],
    'an input of another rank': [{ ...x, dims: [12] }],
    'an input of another shape': [{ ...x, dims: [1, 2, 3, 2] }],
  };
}

async function checkMisfits(trial: ModelTrial): Promise<void> {
  const { plugin, device, queue, model } = trial;
  const { modelId } = await loadTaken(plugin, device, model);
  const sample = onModel(trial.sample, modelId);
  if (sample.request.inputs[0]?.name === 'x') {
    for (const [what, inputs] of Object.entries(misfits())) {
      const completion = await plugin.run(queue, { ...sample.request, inputs });
      if (isRefusal(completion)) continue;
      const { status, message } = completion;
      broken(
        status === ErrorCode.OK
          ? `it ran ${sample.label} with ${what}`
          : `it refused ${what} with status ${status}: ${message}`,
      );
    }
  }
  await checkRun(trial, modelId);
  await plugin.unloadModel(modelId);
}

/** A submit that refuses the task is as good as a task that fails. */
async function checkWithout(trial: ModelTrial): Promise<void> {
  const { plugin, device, queue, sample, model } = trial;
  const outcome = await Promise.resolve()
    .then(() => plugin.run(queue, sample.request))
    .catch((error: unknown) => error as Error);
  if (!(outcome instanceof Error)) {
    if (outcome.status === ErrorCode.OK) broken(`it ran ${sample.label} without a model`);
    if (!hasMessage(outcome)) broken(`it refused ${sample.label} without a model, with no message`);
  }
  const { modelId } = await loadTaken(plugin, device, model);
  await checkRun(trial, modelId);
  await plugin.unloadModel(modelId);
}

/** So much of a model that reading it is some work before it fails. */
function withoutEnd(source: ModelSource): ModelSource {
  const files = source.files.map(({ name, data }) => ({
    name,
    data: data.subarray(0, data.length / 2),
  }));
  return { ...source, files };
}

async function checkLeaks(trial: ModelTrial): Promise<string | undefined> {
  const { plugin, device, sample } = trial;
  const large = classifierModel({ classes: largeModelClasses });
  if (plugin.supports(device, sample.request, large.source).score === 0) {
    return `it takes no model with ${largeModelClasses} classes`;
  }
  const damaged = withoutEnd(large.source);
  const left = await leftBehind({
    work: async () => {
      for (let i = 0; i < modelsPerRound; i++) {
        const { modelId } = await loadTaken(plugin, device, large);
        await plugin.unloadModel(modelId);
        await tryLoad(trial, damaged);
      }
    },
    what: 'models, and as many damaged ones,',
    perRound: modelsPerRound,
    bytesPerRoundMax: leakBytesPerRoundMax,
  });
  if (left !== undefined) broken(`loading and unloading: ${left}`);
  return undefined;
}

/** What holds for models. */
export const modelRules: readonly Rule[] = [
  {
    id: 'model-info',
    title: 'describes a model as it is, with -1 where it takes a batch',
    check: (subject) => withDevices(subject, checkInfo),
  },
  {
    id: 'model-twice',
    title: 'loads the same content twice, each as a model of its own',
    check: (subject) => withModelSamples(subject, checkTwice),
  },
  {
    id: 'model-at-once',
    title: `loads, runs and unloads ${loadsAtOnce} models at once`,
    check: (subject) => withModelSamples(subject, checkAtOnce),
  },
  {
    id: 'model-unload',
    title: 'completes the tasks of a model that is to be unloaded, and loads it again',
    check: (subject) => withModelSamples(subject, checkUnload),
  },
  {
    id: 'model-damaged',
    title:
      'refuses a model that is damaged, or names files that were not given, with INVALID_ARGUMENT',
    check: (subject) => withDevices(subject, checkDamaged),
  },
  {
    id: 'model-format',
    title: 'refuses a model of a format that it does not know',
    check: (subject) => withDevices(subject, checkFormat),
  },
  {
    id: 'model-files',
    title: 'loads a model whose weights are in a second file that was given',
    check: (subject) => withModelSamples(subject, checkFiles),
  },
  {
    id: 'model-misfits',
    title: 'refuses inputs that do not fit the model',
    check: (subject) => withModelSamples(subject, checkMisfits),
  },
  {
    id: 'model-missing',
    title: 'refuses a task that has no model where the op runs one',
    check: (subject) => withModelSamples(subject, checkWithout),
  },
  {
    id: 'model-leaks',
    title: 'holds no more memory, descriptors and threads after many models than after a few',
    check: (subject) => withDevices(subject, checkLeaks),
  },
];
