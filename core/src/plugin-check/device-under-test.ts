import { ErrorCode } from '../generated/constants.js';
import type { TaskCompletion } from './host-connection.js';
import type { ModelSource, PluginUnderTest, TaskRequest } from './plugin-under-test.js';
import { broken } from './rule.js';
import { withQueue } from './trials.js';

/** One device, with a queue to it and the models that are loaded there. */
export class DeviceUnderTest {
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

  /** Runs one task alone. */
  async run(request: TaskRequest, model: ModelSource | null = null): Promise<TaskCompletion> {
    const modelId = model === null ? 0 : await this.load(model);
    return this.plugin.run(this.queue, { ...request, modelId });
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

  /** Whether it loads a model; false = it has no kernels for it, or finds it damaged. */
  async loads(source: ModelSource): Promise<boolean> {
    try {
      await this.load(source);
      return true;
    } catch (error) {
      const { status } = error as { status?: number };
      if (status === ErrorCode.INVALID_ARGUMENT || status === ErrorCode.UNIMPLEMENTED) return false;
      throw error;
    }
  }
}

/** Runs `work` with a queue to one device; models that it loads are unloaded afterwards. */
export function withDevice(
  plugin: PluginUnderTest,
  device: number,
  work: (ready: DeviceUnderTest) => Promise<void>,
): Promise<void> {
  return withQueue(plugin, device, async (queue) => {
    const ready = new DeviceUnderTest(plugin, device, queue);
    try {
      await work(ready);
    } finally {
      await ready.close();
    }
  });
}
