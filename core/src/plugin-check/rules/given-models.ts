import { DataType, ErrorCode, OPS } from '../../generated/constants.js';
import type { NativeModelInfo, NativeOpInfo, NativeTensorSpec } from '../../native-binding.js';
import type { TensorSpec } from '../../backend.js';
import type { Model } from '../../models/model.js';
import { bytesApart, compareOutputs } from '../compare-outputs.js';
import { withDevice, type DeviceUnderTest } from '../device-under-test.js';
import { givenTolerance, inferRequest, isGuessed, readGivenModel } from '../given-model.js';
import type { TaskCompletion } from '../host-connection.js';
import { openOracle, withOracle } from '../oracle.js';
import type { PluginUnderTest } from '../plugin-under-test.js';
import { Attempts, broken, skipped, type Rule, type Subject } from '../rule.js';
import { outputBytes } from '../samples/sample.js';
import { allOf, hasMessage, loadTaken, withPlugin, withQueue } from '../trials.js';

const rowsMax = 7;

interface GivenTrial {
  readonly plugin: PluginUnderTest;
  readonly device: number;
  readonly model: Model;
  readonly op: NativeOpInfo;
  readonly subject: Subject;
}

/** Says why there was nothing to try, if there was not. */
type GivenWork = (trial: GivenTrial) => Promise<string | undefined>;

async function modelsOf({ models = [] }: Subject): Promise<Model[]> {
  if (models.length === 0) skipped('no model was given; --model FILE gives one');
  const read: Model[] = [];
  for (const path of models) read.push(await readGivenModel(path));
  return read;
}

/** Runs `work` with each model that was given, on each device that takes it. Nothing is loaded. */
async function withGivenModels(subject: Subject, work: GivenWork): Promise<void> {
  const models = await modelsOf(subject);
  await withPlugin(subject, async (plugin) => {
    const attempts = new Attempts('it does not offer infer by itself');
    const op = plugin.info.ops.find(
      (offered) => offered.op === OPS.infer.id && offered.name === '',
    );
    for (const device of op === undefined ? [] : plugin.info.devices.keys()) {
      for (const model of models) {
        const { score, reason } = plugin.supports(device, inferRequest(model, [0]), model.source);
        const refusal = `${plugin.deviceName(device)} does not take ${model.name}: ${reason}`;
        const trial = { plugin, device, model, op: op as NativeOpInfo, subject };
        attempts.add(score > 0 ? await work(trial) : refusal);
      }
    }
    attempts.check();
  });
}

// ---- load, describe, run, unload -----------------------------------------------------------------

async function checkUse({ plugin, device, model }: GivenTrial): Promise<string | undefined> {
  return withQueue(plugin, device, async (queue) => {
    for (const time of ['once', 'again'] as const) {
      const info = await loadTaken(plugin, device, model);
      checkInfo(model, info);
      const request = { ...inferRequest(model, [0]), modelId: info.modelId };
      const completion = await plugin.run(queue, request);
      await plugin.unloadModel(info.modelId);
      const { status, message } = completion;
      if (status !== ErrorCode.OK) {
        const refusal = `${model.name}, loaded ${time}, ended a task with status ${status}: ${message}`;
        if (mayFail(model, completion)) return refusal;
        broken(refusal);
      }
      checkOutputs(model, completion);
    }
    return undefined;
  });
}

/**
 * With sizes that were guessed a sound plugin may fail, and from within the model, so with whatever status. Whether the
 * oracle fails as well is another rule's.
 */
function mayFail(model: Model, completion: TaskCompletion): boolean {
  return isGuessed(model) && hasMessage(completion);
}

function checkInfo(model: Model, info: NativeModelInfo): void {
  for (const side of ['inputs', 'outputs'] as const) {
    const fits =
      info[side].length === model[side].length &&
      info[side].every((said, i) => describes(said, model[side][i] as TensorSpec));
    if (fits) continue;
    const said = info[side].map((spec) => `${spec.name} [${spec.dims.join(', ')}]`).join('; ');
    const wanted = model[side].map((spec) => `${spec.name} [${spec.shape.join(', ')}]`).join('; ');
    broken(`model_info says of the ${side} of ${model.name} ${said}, and not ${wanted}`);
  }
}

/** A plugin may know more of a size than the file says, and nothing else than it. */
function describes(said: NativeTensorSpec, wanted: TensorSpec): boolean {
  if (said.name !== wanted.name || said.dtype !== DataType[wanted.dtype]) return false;
  return wanted.anyRank === true || sameSizes(said.dims, wanted.shape);
}

function sameSizes(dims: readonly number[], wanted: readonly number[]): boolean {
  return (
    dims.length === wanted.length &&
    wanted.every((size, i) => size === -1 || dims[i] === -1 || size === dims[i])
  );
}

function checkOutputs(model: Model, { outputs }: TaskCompletion): void {
  for (const spec of model.outputs) {
    const output = outputs.find(({ name }) => name === spec.name);
    if (output === undefined) broken(`${model.name} gives no output '${spec.name}'`);
    const fits = spec.anyRank === true || sameSizes(output.dims, spec.shape);
    if (output.dtype === DataType[spec.dtype] && fits) continue;
    broken(
      `output '${spec.name}' of ${model.name} has type ${output.dtype} and [${output.dims.join(', ')}], ` +
        `not ${DataType[spec.dtype]} and [${spec.shape.join(', ')}]`,
    );
  }
}

// ---- batches -------------------------------------------------------------------------------------

async function checkBatches(trial: GivenTrial): Promise<string | undefined> {
  const { plugin, device, model, subject } = trial;
  if (model.maxBatchSize < 2) return `${model.name} takes no batch`;
  const rows = Array.from({ length: Math.min(model.maxBatchSize, rowsMax) }, (_, seed) => seed);
  const dependent = await dependenceOf(model, rows, subject);
  if (dependent !== undefined) return dependent;
  let refusal: string | undefined;
  await withDevice(plugin, device, async (tested) => {
    const singles = await singlesOf(tested, model, rows);
    if (typeof singles === 'string') {
      refusal = singles;
      return;
    }
    const batch = await tested.runWell(
      whatOf(model, rows),
      inferRequest(model, rows),
      model.source,
    );
    const apart = rowsApart(batch, singles);
    if (apart !== undefined)
      broken(`${whatOf(model, rows)} has another result than alone: ${apart}`);
    await checkTogether(trial, rows, singles);
  });
  return refusal;
}

/** Tasks of one row each in one submit, which the plugin may compute together where infer is BATCHABLE. */
async function checkTogether(
  { plugin, device, model, op }: GivenTrial,
  rows: readonly number[],
  singles: readonly TaskCompletion[],
): Promise<void> {
  await withQueue(plugin, device, async (queue) => {
    const { modelId } = await loadTaken(plugin, device, model);
    const requests = rows.map((row) => ({ ...inferRequest(model, [row]), modelId }));
    const together = await allOf(plugin.submit(queue, requests));
    await plugin.unloadModel(modelId);
    for (const [i, completion] of together.entries()) {
      const what = `task ${i} of ${rows.length} of ${model.name} in one submit`;
      if (completion.status !== ErrorCode.OK) {
        broken(`${what} ended with status ${completion.status}: ${completion.message}`);
      }
      const { batchSize } = completion;
      if (op.batchMax > 0 && batchSize > op.batchMax) {
        broken(
          `${what} says that ${batchSize} were computed together; batch_max is ${op.batchMax}`,
        );
      }
      const single = singles[i] as TaskCompletion;
      compareOutputs(what, completion, single, 'the same task alone', givenTolerance);
    }
  });
}

/** Undefined where rows have the same results in a batch as alone on the oracle, or none is there to say so. */
async function dependenceOf(
  model: Model,
  rows: readonly number[],
  { oracle }: Subject,
): Promise<string | undefined> {
  if (oracle === undefined) return undefined;
  const judge = await openOracle(oracle);
  let problem: string | undefined;
  try {
    await withDevice(judge, 0, async (device) => {
      if (!(await device.loads(model.source))) return;
      const singles = await singlesOf(device, model, rows);
      const batch = await device.run(inferRequest(model, rows), model.source);
      if (typeof singles === 'string' || batch.status !== ErrorCode.OK) return;
      const apart = rowsApart(batch, singles);
      if (apart === undefined) return;
      problem = `the rows of ${model.name} depend on one another, as the oracle has it: ${apart}`;
    });
  } finally {
    await judge.close();
  }
  return problem;
}

/** Each row alone; a text = the device refused the inputs, whose sizes are guessed. */
async function singlesOf(
  device: DeviceUnderTest,
  model: Model,
  rows: readonly number[],
): Promise<readonly TaskCompletion[] | string> {
  const singles: TaskCompletion[] = [];
  for (const row of rows) {
    const completion = await device.run(inferRequest(model, [row]), model.source);
    const { status, message } = completion;
    if (status !== ErrorCode.OK) {
      const refusal = `${whatOf(model, [row])} ended with status ${status}: ${message}`;
      return mayFail(model, completion) ? refusal : broken(refusal);
    }
    singles.push(completion);
  }
  return singles;
}

/** Where the rows of a batch are not what each gives alone. */
function rowsApart(batch: TaskCompletion, singles: readonly TaskCompletion[]): string | undefined {
  for (const { index, name, dtype, dims } of batch.outputs) {
    if (dims[0] !== singles.length) return `output '${name}' is [${dims.join(', ')}]`;
    const together = outputBytes(batch, index);
    const rowBytes = together.length / singles.length;
    for (const [i, single] of singles.entries()) {
      const row = together.subarray(i * rowBytes, (i + 1) * rowBytes);
      const apart = bytesApart(dtype, row, outputBytes(single, index), givenTolerance);
      if (apart !== undefined) return `of row ${i} of output '${name}', ${apart}`;
    }
  }
  return undefined;
}

function whatOf({ name }: Model, rows: readonly number[]): string {
  return `infer of ${name}, ${rows.length === 1 ? 'one row' : `${rows.length} rows`},`;
}

// ---- the oracle ----------------------------------------------------------------------------------

async function checkOracle(subject: Subject): Promise<void> {
  const models = await modelsOf(subject);
  await withOracle(subject, OPS.infer.id, async ({ plugin, oracle }) => {
    const refusals: string[] = [];
    for (const model of models) {
      const refusal = await compareModel(model, plugin, oracle);
      if (refusal !== undefined) refusals.push(refusal);
    }
    return refusals.length === models.length ? refusals[0] : undefined;
  });
}

async function compareModel(
  model: Model,
  plugin: DeviceUnderTest,
  oracle: DeviceUnderTest,
): Promise<string | undefined> {
  const { source } = model;
  const refusal = plugin.refusal(inferRequest(model, [0]), source);
  if (refusal !== undefined) return refusal;
  if (!(await oracle.loads(source))) return `the oracle does not load ${model.name}`;
  const counts = [1, 2, rowsMax].filter((rows) => rows === 1 || rows <= model.maxBatchSize);
  for (const count of counts) {
    const rows = Array.from({ length: count }, (_, row) => 100 + row);
    const what = whatOf(model, rows);
    const request = inferRequest(model, rows);
    const wanted = await oracle.run(request, source);
    if (wanted.status !== ErrorCode.OK) {
      return `${what} failed on the oracle with status ${wanted.status}: ${wanted.message}`;
    }
    const given = await plugin.runWell(what, request, source);
    compareOutputs(what, given, wanted, 'the oracle', givenTolerance);
  }
  return undefined;
}

/** What holds for models that the check was given. */
export const givenModelRules: readonly Rule[] = [
  {
    id: 'given-model',
    title: 'loads a given model as its file describes it, runs it, and unloads it',
    check: (subject) => withGivenModels(subject, checkUse),
  },
  {
    id: 'given-model-batch',
    title: 'gives each row of a given model in a batch what it gives alone',
    usesOracle: true,
    check: (subject) => withGivenModels(subject, checkBatches),
  },
  {
    id: 'given-model-oracle',
    title: 'infers with a given model what the oracle infers, within the tolerance',
    usesOracle: true,
    check: checkOracle,
  },
];
