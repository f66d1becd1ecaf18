import { messageOf } from '../errors.js';
import { ErrorCode, type OpId } from '../generated/constants.js';
import type { NativeOpInfo } from '../native-binding.js';
import type { TaskCompletion } from './host-connection.js';
import { PluginUnderTest, type ModelSource, type TaskRequest } from './plugin-under-test.js';
import { Attempts, broken, skipped, type CheckedPlugin, type Subject } from './rule.js';
import { withPlugin, withQueue } from './trials.js';

/** One device, with a queue to it and the models that are loaded there. */
export class Bench {
  private readonly models = new Map<ModelSource, number>();

  constructor(
    private readonly plugin: PluginUnderTest,
    private readonly device: number,
    private readonly queue: number,
  ) {}

  get name(): string {
    return this.plugin.deviceName(this.device);
  }

  /** Why the device does not take this; undefined = it does. */
  refusal(request: TaskRequest, model: ModelSource | null = null): string | undefined {
    const { score, reason } = this.plugin.supports(this.device, request, model);
    return score > 0 ? undefined : `${this.name}: ${reason}`;
  }

  /**
   * Runs a task, and sees to it that this device did.
   *
   * @throws RuleBroken
   */
  async run(request: TaskRequest, model: ModelSource | null = null): Promise<TaskCompletion> {
    const modelId = model === null ? 0 : await this.load(model);
    const completion = await this.plugin.run(this.queue, { ...request, modelId });
    if (completion.device !== this.name) {
      broken(`a task for ${this.name} ran on ${completion.device}`);
    }
    return completion;
  }

  /**
   * Runs a task that must end well.
   *
   * @throws RuleBroken
   */
  async runWell(
    what: string,
    request: TaskRequest,
    model: ModelSource | null = null,
  ): Promise<TaskCompletion> {
    const completion = await this.run(request, model);
    if (completion.status === ErrorCode.OK) return completion;
    return broken(
      `${what} failed on ${this.name} with status ${completion.status}: ${completion.message}`,
    );
  }

  async close(): Promise<void> {
    for (const modelId of this.models.values()) await this.plugin.unloadModel(modelId);
  }

  /**
   * Loads a model, once.
   *
   * @returns its id.
   * @throws what the plugin host throws: an Error with `status`.
   */
  async load(source: ModelSource): Promise<number> {
    const known = this.models.get(source);
    if (known !== undefined) return known;
    const { modelId } = await this.plugin.loadModel(this.device, source);
    this.models.set(source, modelId);
    return modelId;
  }
}

/** A device of the plugin beside the one of the oracle. */
export interface Comparison {
  /** The checked plugin's entry of the op. */
  readonly op: NativeOpInfo;
  readonly plugin: Bench;
  readonly oracle: Bench;
}

/**
 * Runs `work` for each device of the plugin and each of its entries of an op.
 *
 * @param work says why there was nothing to compare, if there was not.
 * @throws RuleSkipped when the plugin does not offer the op, or there is no oracle.
 */
export async function withOracle(
  { oracle, ...subject }: Subject,
  opId: OpId,
  work: (comparison: Comparison) => Promise<string | undefined>,
): Promise<void> {
  await withPlugin(subject, async (plugin) => {
    const attempts = new Attempts('it does not offer the op');
    const ops = plugin.info.ops.filter(({ op, name }) => op === opId && name === '');
    if (ops.length === 0) attempts.check();
    if (oracle === undefined) skipped('there is no oracle to compare with');
    const judge = await openOracle(oracle);
    try {
      await onBench(judge, 0, async (oracleBench) => {
        for (const device of plugin.info.devices.keys()) {
          await onBench(plugin, device, async (bench) => {
            for (const op of ops) {
              attempts.add(await work({ op, plugin: bench, oracle: oracleBench }));
            }
          });
        }
      });
    } finally {
      await judge.close();
    }
    attempts.check();
  });
}

/** @throws RuleBroken: that it is not there is no reason to skip what was asked for. */
async function openOracle({ path, options }: CheckedPlugin): Promise<PluginUnderTest> {
  try {
    return await PluginUnderTest.open(path, options);
  } catch (error) {
    return broken(`the oracle does not open: ${messageOf(error)}`);
  }
}

/** Runs `work` with a queue to one device; models that it loads are unloaded afterwards. */
export function onBench(
  plugin: PluginUnderTest,
  device: number,
  work: (bench: Bench) => Promise<void>,
): Promise<void> {
  return withQueue(plugin, device, async (queue) => {
    const bench = new Bench(plugin, device, queue);
    try {
      await work(bench);
    } finally {
      await bench.close();
    }
  });
}
