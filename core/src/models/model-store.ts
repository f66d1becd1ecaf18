import type { Backend, Device, LoadedModel, ModelSource } from '../backend.js';
import type { AxleError } from '../errors.js';
import type { Limits } from '../limits.js';
import type { Clock, DeviceQueue } from '../scheduling/device-queue.js';
import { DeviceModels, type PlacedModel } from './device-models.js';
import { LoadFailures } from './load-failures.js';
import type { Model } from './model.js';
import { warmUp } from './warm-up.js';

/** A model, as far as devices tell it from others. */
export interface ModelContent {
  readonly source: Pick<ModelSource, 'contentId'>;
}

export interface ModelStoreOptions {
  readonly limits: Pick<Limits, 'deviceModelsMax' | 'deviceModelBytesMax'>;
  /** Milliseconds. */
  readonly clock: Clock;
  /** In which warm-ups wait their turn. */
  readonly queueOf: (device: Device) => DeviceQueue;
  /** Told once of each load that failed, however many calls waited for it. */
  readonly onFailure: (device: Device, error: unknown) => void;
}

/** Models on devices, and which of them do not load. */
export class ModelStore {
  /** By device id. */
  private readonly devices = new Map<string, DeviceModels>();
  private readonly failures: LoadFailures;

  constructor(private readonly options: ModelStoreOptions) {
    this.failures = new LoadFailures(options.clock);
  }

  has(device: Device, model: Model): boolean {
    return this.devices.get(device.id)?.has(model.source) ?? false;
  }

  /** The loaded model at once when it is there, pinned until the caller's `unpin`. */
  pin(device: Device, model: Model): PlacedModel | undefined {
    return this.devices.get(device.id)?.pin(model.source);
  }

  /** Why the model is not to be loaded now: it failed a short while ago. Undefined = it may be. */
  refusal(device: Device, model: Model): AxleError | undefined {
    return this.failures.refusal(device, model);
  }

  /** Why the model is on no device: the last try to load it failed, and no other passed. Undefined: nothing is known of it. */
  loadFailure(model: Model): unknown {
    const devices = [...this.devices];
    if (devices.some(([, models]) => models.has(model.source))) return undefined;
    return devices
      .map(([deviceId]) => this.failures.standing(deviceId, model))
      .find((failure) => failure !== undefined);
  }

  /**
   * Loads a model, once for all that ask for it, and pins it until the caller's `unpin`.
   *
   * @throws AxleError as the backend's `loadModel`, and of a warm-up that fails; RESOURCE_EXHAUSTED when calls use all
   * that the device has room for.
   */
  async load(backend: Backend, device: Device, model: Model): Promise<PlacedModel> {
    let models = this.devices.get(device.id);
    if (models === undefined) {
      const { limits, clock, queueOf } = this.options;
      // Who makes the batches there also warms models up.
      models = new DeviceModels(backend, device, limits, clock, (loaded, its) =>
        backend.batches === 'there'
          ? Promise.resolve()
          : warmUp(queueOf(device), clock, backend, loaded, its),
      );
      this.devices.set(device.id, models);
    }
    const placed = await models.load(model, (error) => {
      this.failures.note(device, model, error);
      this.options.onFailure(device, error);
    });
    this.failures.forget(device, model);
    return placed;
  }

  /** The same whatever became of it before, and not pinned. */
  async prefetch(
    backend: Backend,
    device: Device,
    model: Model,
    tenant: string,
  ): Promise<LoadedModel> {
    this.failures.forget(device, model);
    const placed = await this.load(backend, device, model);
    const loaded = await placed.loading;
    try {
      await backend.prefetchModel?.(loaded, tenant);
    } finally {
      placed.unpin();
    }
    return loaded;
  }

  /** Frees the devices of a model that is not wanted any more, as `DeviceModels.unloadOne`. */
  async unload({ source: { contentId } }: ModelContent): Promise<void> {
    await Promise.all([...this.devices.values()].map((models) => models.unloadOne(contentId)));
  }

  /** Unloads everything, waiting for loads that are under way. */
  async close(): Promise<void> {
    await Promise.all([...this.devices.values()].map((models) => models.close()));
    this.devices.clear();
  }
}
