import type { Backend, Device, LoadedModel, ModelSource } from '../backend.js';
import { AxleError, messageOf } from '../errors.js';
import type { Limits } from '../limits.js';
import type { Model } from './model.js';
import { servingIdOf } from './manifest.js';
import { bytesOf } from './opened-models.js';
import { ReloadValue, type Valued } from './reload-value.js';

/** The part of a device's memory that models may take; the rest is for what they compute with. */
export const modelMemoryShare = 0.75;

/** A model on a device, or on its way there. It stays as long as it is pinned. */
export class PlacedModel implements Valued {
  /** Undefined until it is loaded and warm. */
  loaded: LoadedModel | undefined = undefined;
  /** Calls that use it or wait for it. */
  pins = 0;
  /** Higher = later. */
  usedAt = 0;
  loadMs = 0;
  uses = 0;
  value = 0;

  constructor(
    readonly source: ModelSource,
    /** On the device; of its files until it is loaded. */
    public bytes: number,
    readonly loading: Promise<LoadedModel>,
  ) {}

  private onUnused: (() => void) | undefined = undefined;

  /** To be called once for each pin. */
  unpin(): void {
    this.pins -= 1;
    if (this.pins === 0) this.onUnused?.();
  }

  /** Settles when no call uses it. */
  async unused(): Promise<void> {
    if (this.pins === 0) return;
    await new Promise<void>((resolve) => {
      this.onUnused = resolve;
    });
  }
}

/**
 * The models of one device: each is loaded once, by content, however many calls ask for it at the same time. To make
 * room within the device's budget, those that no call uses are unloaded, the one that is cheapest to be without first.
 *
 * The budget is for what stays beside each other: whether a model fits that has the device to itself, the device says.
 */
export class DeviceModels {
  private readonly placed = new Map<string, PlacedModel>();
  private readonly bytesMax: number;
  private uses = 0;
  private readonly worth = new ReloadValue();

  /**
   * @param clock milliseconds
   * @param warm runs the warm-ups of a model that was just loaded.
   */
  constructor(
    private readonly backend: Backend,
    private readonly device: Device,
    private readonly limits: Pick<Limits, 'deviceModelsMax' | 'deviceModelBytesMax'>,
    private readonly clock: () => number,
    private readonly warm: (loaded: LoadedModel, model: Model) => Promise<void>,
  ) {
    const { memoryBytes } = device;
    this.bytesMax =
      memoryBytes > 0 ? Math.floor(memoryBytes * modelMemoryShare) : limits.deviceModelBytesMax;
  }

  has(source: ModelSource): boolean {
    return this.placed.get(this.idOf(source))?.loaded !== undefined;
  }

  /** The model, pinned, at once when it is there: the common case costs no promise. */
  pin(source: ModelSource): PlacedModel | undefined {
    const placed = this.placed.get(this.idOf(source));
    if (placed?.loaded === undefined) return undefined;
    this.use(placed);
    return placed;
  }

  /**
   * The model, pinned, when it is there.
   *
   * @param onFailure is told of a failure to load once, however many wait for it.
   * @throws AxleError as the backend's `loadModel` and the warm-ups; RESOURCE_EXHAUSTED where all that would have to go
   * is in use, which is no failure to load.
   */
  async load(model: Model, onFailure: (error: unknown) => void): Promise<PlacedModel> {
    const placed = this.placed.get(this.idOf(model.source)) ?? this.begin(model, onFailure);
    this.use(placed);
    await placed.loading;
    return placed;
  }

  /**
   * Unloads a model when the calls that use it are done; calls from now on load it anew. One that is not loaded, or not yet,
   * is left as it is.
   *
   * @throws AxleError as the backend's `unloadModel`.
   */
  async unloadOne(contentId: string): Promise<void> {
    const placed = [...this.placed.values()].filter(
      ({ source, loaded }) => source.contentId === contentId && loaded !== undefined,
    );
    this.takeOut(placed);
    await Promise.all(
      placed.map(async (each) => {
        await each.unused();
        await this.backend.unloadModel(each.loaded as LoadedModel);
      }),
    );
  }

  /** Unloads everything, waiting for loads that are under way. */
  async close(): Promise<void> {
    const placed = [...this.placed.values()];
    this.placed.clear();
    await Promise.all(
      placed.map(async ({ loading }) => {
        const [outcome] = await Promise.allSettled([loading]);
        if (outcome.status === 'fulfilled') await this.backend.unloadModel(outcome.value);
      }),
    );
  }

  /** The same bytes may stand under several names: who makes the batches there is told of each one's config. */
  private idOf(source: ModelSource): string {
    return this.backend.batches === 'there' ? servingIdOf(source) : source.contentId;
  }

  private use(placed: PlacedModel): void {
    placed.pins += 1;
    placed.usedAt = ++this.uses;
    this.worth.used(placed);
  }

  private begin(model: Model, onFailure: (error: unknown) => void): PlacedModel {
    const { source } = model;
    const bytes = bytesOf(source);
    const leaving = this.takeOut(this.inTheWayOf(source, bytes));
    const began = this.clock();
    const placed = new PlacedModel(source, bytes, this.loadAfter(leaving, model));
    const id = this.idOf(source);
    this.placed.set(id, placed);
    placed.loading.then(
      (loaded) => {
        placed.loadMs = this.clock() - began;
        if (loaded.memoryBytes > 0) placed.bytes = loaded.memoryBytes;
        placed.loaded = loaded;
        this.worth.assess(placed);
      },
      (error: unknown) => {
        if (this.placed.get(id) === placed) this.placed.delete(id);
        onFailure(error);
      },
    );
    return placed;
  }

  private async loadAfter(leaving: readonly PlacedModel[], model: Model): Promise<LoadedModel> {
    await this.unload(leaving, model.source);
    const loaded = await this.loadWhereRoom(model.source);
    try {
      await this.warm(loaded, model);
    } catch (error) {
      await this.backend.unloadModel(loaded);
      throw error;
    }
    return loaded;
  }

  /** What fits by the budget may not fit for the device, which is asked once more without what nobody uses. */
  private async loadWhereRoom(source: ModelSource): Promise<LoadedModel> {
    try {
      return await this.backend.loadModel(this.device, source);
    } catch (error) {
      const full = error instanceof AxleError && error.code === 'RESOURCE_EXHAUSTED';
      const idle = full ? this.takeOut(this.idle()) : [];
      if (idle.length === 0) throw error;
      await this.unload(idle, source);
      return await this.backend.loadModel(this.device, source);
    }
  }

  /** Those that no call uses, the one that is cheapest to be without first. */
  private idle(): PlacedModel[] {
    return [...this.placed.values()]
      .filter(({ pins, loaded }) => pins === 0 && loaded !== undefined)
      .sort((a, b) => a.value - b.value || a.usedAt - b.usedAt);
  }

  /**
   * What must go for one more.
   *
   * @throws AxleError RESOURCE_EXHAUSTED when it is in use.
   */
  private inTheWayOf(next: ModelSource, nextBytes: number): readonly PlacedModel[] {
    const { deviceModelsMax } = this.limits;
    const going: PlacedModel[] = [];
    const idle = this.idle();
    let count = this.placed.size;
    let bytes = sumOf(this.placed.values());
    for (;;) {
      const fits = count < deviceModelsMax && bytes + nextBytes <= this.bytesMax;
      if (fits || count === 0) return going;
      const victim = idle.shift();
      if (victim === undefined) throw this.noRoom(next, nextBytes, count, bytes);
      going.push(victim);
      this.worth.left(victim);
      count -= 1;
      bytes -= victim.bytes;
    }
  }

  private noRoom(
    { name }: ModelSource,
    bytes: number,
    count: number,
    bytesUsed: number,
  ): AxleError {
    const { deviceModelsMax } = this.limits;
    const [full, limit] =
      count >= deviceModelsMax
        ? [`${deviceModelsMax} models are the most`, 'raise the limit deviceModelsMax']
        : [
            `it has ${bytes} bytes, they ${bytesUsed}, and ${this.bytesMax} are the most`,
            this.device.memoryBytes > 0
              ? 'use another device'
              : 'raise the limit deviceModelBytesMax',
          ];
    return AxleError.expected(
      'RESOURCE_EXHAUSTED',
      `no room for model '${name}' on ${this.device.id}: calls use all that is loaded there (${count}), ` +
        `and ${full}; try again when some of these calls are done, or ${limit}`,
    );
  }

  /** From now on they are not here: who wants one loads it anew. */
  private takeOut(placed: readonly PlacedModel[]): readonly PlacedModel[] {
    for (const { source } of placed) this.placed.delete(this.idOf(source));
    return placed;
  }

  /** All of them, also when one fails: nobody else knows of them any more. */
  private async unload(leaving: readonly PlacedModel[], next: ModelSource): Promise<void> {
    const unloading = leaving.map(async ({ loaded, source }) => {
      if (loaded !== undefined) await this.unloadFor(next, source, loaded);
    });
    for (const outcome of await Promise.allSettled(unloading)) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
  }

  private async unloadFor(next: ModelSource, { name }: ModelSource, loaded: LoadedModel) {
    try {
      await this.backend.unloadModel(loaded);
    } catch (error) {
      throw new AxleError(
        error instanceof AxleError ? error.code : 'INTERNAL',
        `model '${name}' could not be unloaded from ${this.device.id} to make room for '${next.name}': ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
}

function sumOf(placed: Iterable<PlacedModel>): number {
  let bytes = 0;
  for (const one of placed) bytes += one.bytes;
  return bytes;
}
