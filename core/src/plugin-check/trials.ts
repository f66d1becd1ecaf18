import { messageOf } from '../errors.js';
import { ErrorCode } from '../generated/constants.js';
import { endsOn, type DeviceEnds, type TaskCompletion } from './host-connection.js';
import { PluginUnderTest, type ModelSource, type SubmittedTask } from './plugin-under-test.js';
import { Attempts, broken, type CheckedPlugin } from './rule.js';
import { isCustom, outputBytes, type OpSample } from './samples/sample.js';

export async function withPlugin<T>(
  { path, options, args }: CheckedPlugin,
  work: (plugin: PluginUnderTest) => Promise<T>,
): Promise<T> {
  const plugin = await PluginUnderTest.open(path, options, args);
  try {
    return await work(plugin);
  } finally {
    await plugin.close();
  }
}

export async function withQueue<T>(
  plugin: PluginUnderTest,
  device: number,
  work: (queue: number) => Promise<T>,
): Promise<T> {
  const queue = plugin.openQueue(device);
  try {
    return await work(queue);
  } finally {
    await plugin.closeQueue(queue);
  }
}

/** A sample on a device that takes it, with a queue to that device, and with the sample's model loaded. */
export interface Trial {
  readonly plugin: PluginUnderTest;
  readonly device: number;
  readonly queue: number;
  readonly sample: OpSample;
}

/**
 * Runs `work` with every sample of every op, on every device that takes it.
 *
 * @param wanted only with these samples; `none` is why the rule does not apply when there is none.
 * @throws RuleSkipped when nothing was tried.
 */
export async function withSamples(
  subject: CheckedPlugin,
  work: (trial: Trial) => Promise<void>,
  wanted: { readonly filter: (sample: OpSample) => boolean; readonly none: string } = {
    filter: () => true,
    none: 'it offers no op',
  },
): Promise<void> {
  await withPlugin(subject, async (plugin) => {
    const samples = plugin.samples().filter(wanted.filter);
    const attempts = new Attempts(wanted.none);
    for (const device of plugin.info.devices.keys()) {
      for (const sample of samples) {
        const source = sample.model?.source ?? null;
        const { score, reason } = plugin.supports(device, sample.request, source);
        if (score === 0) {
          attempts.add(notTaken(plugin, device, sample, reason));
          continue;
        }
        const before = endsOn(plugin.deviceName(device));
        await withQueue(plugin, device, (queue) =>
          withModel(plugin, device, sample, (ready) =>
            work({ plugin, device, queue, sample: ready }),
          ),
        );
        attempts.add(refusedAll(sample, before, endsOn(plugin.deviceName(device))));
      }
    }
    attempts.check();
  });
}

/** Why tasks of a custom op, which may refuse them, show nothing: each was refused. */
export function refusedAll(
  sample: OpSample,
  before: DeviceEnds,
  { tasks, results, lastFailure }: DeviceEnds,
): string | undefined {
  const mayRefuse = isCustom(sample) && tasks > before.tasks && results === before.results;
  return mayRefuse ? refusalText(sample, lastFailure) : undefined;
}

export function refusalText({ label }: OpSample, message: string): string {
  return `${label} refused all that was made up for it: ${message}; where it needs other arguments, give them with --arg NAME=VALUE`;
}

/** For a device whose supports() was 0. */
export function notTaken(
  plugin: PluginUnderTest,
  device: number,
  { label }: OpSample,
  reason: string,
): string {
  return `${plugin.deviceName(device)} does not take ${label}: ${reason}`;
}

/** Runs `work` with the sample's model loaded, if it has one. */
export async function withModel(
  plugin: PluginUnderTest,
  device: number,
  sample: OpSample,
  work: (ready: OpSample) => Promise<void>,
): Promise<void> {
  if (sample.model === undefined) {
    await work(sample);
    return;
  }
  const { modelId } = await loadTaken(plugin, device, sample.model);
  try {
    await work(onModel(sample, modelId));
  } finally {
    await plugin.unloadModel(modelId);
  }
}

/**
 * Loads a model that supports() took.
 *
 * @throws RuleBroken when the plugin does not load it after all.
 */
export function loadTaken(
  plugin: PluginUnderTest,
  device: number,
  { source }: { readonly source: ModelSource },
) {
  return plugin
    .loadModel(device, source)
    .catch((error: unknown) =>
      broken(
        `supports() took the model '${source.name}', and model_load refused it: ${messageOf(error)}`,
      ),
    );
}

/** The sample's tasks on a loaded model. */
export function onModel(sample: OpSample, modelId: number): OpSample {
  return {
    ...sample,
    request: { ...sample.request, modelId },
    vary: (content) => onModel(sample.vary(content), modelId),
  };
}

/** What the plugin host says for a plugin that says nothing. */
const noMessage = /^plugin '.*' ended the task with \w+ and no message$/;

export function hasMessage({ message }: TaskCompletion): boolean {
  return message !== '' && !noMessage.test(message);
}

const refusals: ReadonlySet<number> = new Set([
  ErrorCode.INVALID_ARGUMENT,
  ErrorCode.FAILED_PRECONDITION,
  ErrorCode.OUT_OF_RANGE,
  ErrorCode.UNIMPLEMENTED,
  ErrorCode.NOT_FOUND,
  ErrorCode.DATA_LOSS,
]);

/** Whether a task ended as one does whose input is wrong in itself. */
export function isRefusal(completion: TaskCompletion): boolean {
  return refusals.has(completion.status) && hasMessage(completion);
}

/**
 * Status and outputs of a task that was well-formed.
 *
 * @throws RuleBroken
 */
export function checkCompletion(sample: OpSample, completion: TaskCompletion): void {
  const { status, message } = completion;
  if (status === ErrorCode.OK) {
    const problem = sample.problemOf(completion);
    if (problem !== undefined) broken(`${sample.label}: ${problem}`);
    return;
  }
  if (sample.mayRefuse && isRefusal(completion)) return;
  broken(`${sample.label} failed with status ${status}: ${message}`);
}

export function sameOutputs(a: TaskCompletion, b: TaskCompletion): boolean {
  return (
    a.status === b.status &&
    a.outputs.length === b.outputs.length &&
    a.outputs.every(
      (output, i) =>
        output.dtype === b.outputs[i]?.dtype &&
        String(output.dims) === String(b.outputs[i].dims) &&
        outputBytes(a, output.index).equals(outputBytes(b, output.index)),
    )
  );
}

export function allOf(tasks: readonly SubmittedTask[]): Promise<TaskCompletion[]> {
  return Promise.all(tasks.map(({ completion }) => completion));
}
