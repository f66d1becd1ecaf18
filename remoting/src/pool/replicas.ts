import { asAxleError, servingIdOf, type AxleError, type LoadedModel } from '@axle/core/internal';

import type { Chooser } from './chooser.js';
import type { FarDevice } from './far-device.js';
import { ModelDemand } from './model-demand.js';
import type { PooledDevice } from './pooled-device.js';

/** A model that could not be loaded ahead is tried again after so long, milliseconds. */
const retryMs = 10_000;

/** A model on devices of one kind. */
interface Copies {
  readonly loaded: LoadedModel;
  readonly tenants: Set<string>;
  readonly places: FarDevice[];
}

export interface ReplicasOptions {
  /** Milliseconds. */
  readonly clock: () => number;
  /** Told of a load ahead that failed; calls go on as if it had not been tried. */
  readonly onFailure: (place: FarDevice, model: LoadedModel, error: AxleError) => void;
}

/**
 * Keeps as many copies of models as the demand for them needs: one more is loaded before those there are have no time left,
 * apart from the others, and one goes when fewer have been enough for a while.
 */
export class Replicas {
  /** That were made so far. */
  made = 0;
  private readonly demand = new ModelDemand();
  /** On their way, by what is served and kind; when they may be tried again, once they failed. */
  private readonly loading = new Map<string, number>();

  constructor(
    private readonly chooser: Chooser,
    private readonly options: ReplicasOptions,
  ) {}

  /** To be told of each task that was answered. */
  note({ source }: LoadedModel, tookMs: number): void {
    this.demand.note(servingIdOf(source), tookMs, this.options.clock());
  }

  /** To be called every so often. */
  look(devices: readonly PooledDevice[]): void {
    const now = this.options.clock();
    const known = new Set<string>();
    for (const pooled of devices) {
      for (const copies of copiesOn(pooled, now)) {
        known.add(servingIdOf(copies.loaded.source));
        this.adjust(pooled, copies, now);
      }
    }
    this.demand.keepOnly(known);
  }

  private adjust(pooled: PooledDevice, { loaded, tenants, places }: Copies, now: number): void {
    const servingId = servingIdOf(loaded.source);
    const [first] = places;
    if (first === undefined) return;
    const wanted = this.demand.copies(servingId, first.device.parallel, now);
    if (places.length < wanted) void this.add(pooled, loaded, tenants, places, now);
    else if (this.demand.hasSurplus(servingId, places.length, wanted, now)) {
      leastUsed(places, loaded).unload(loaded.source);
    }
  }

  private async add(
    pooled: PooledDevice,
    loaded: LoadedModel,
    tenants: ReadonlySet<string>,
    having: readonly FarDevice[],
    now: number,
  ): Promise<void> {
    const key = `${pooled.pooledKind} ${servingIdOf(loaded.source)}`;
    if ((this.loading.get(key) ?? 0) > now) return;
    const [tenant = ''] = tenants;
    const target = this.chooser.placeForModel(pooled.all, loaded, tenant, new Set(having));
    if (target === undefined) return;
    this.loading.set(key, Infinity);
    try {
      const there = target.modelOf(loaded, tenant, now);
      await target.member.of(tenant).prefetch(there);
      target.noteLoaded(loaded.source);
      this.made += 1;
      this.loading.delete(key);
    } catch (error) {
      this.loading.set(key, this.options.clock() + retryMs);
      target.unload(loaded.source);
      this.options.onFailure(target, loaded, asAxleError(error));
    }
  }
}

function copiesOn({ all }: PooledDevice, now: number): Iterable<Copies> {
  const found = new Map<string, Copies>();
  for (const place of all) {
    if (!place.member.takes('', now)) continue;
    for (const { loaded, tenants } of place.loadedModels) {
      const servingId = servingIdOf(loaded.source);
      let copies = found.get(servingId);
      if (copies === undefined) {
        copies = { loaded, tenants: new Set(), places: [] };
        found.set(servingId, copies);
      }
      copies.places.push(place);
      for (const tenant of tenants) copies.tenants.add(tenant);
    }
  }
  return found.values();
}

function leastUsed(places: readonly FarDevice[], { source }: LoadedModel): FarDevice {
  return places.reduce((least, place) =>
    place.usedAt(source) < least.usedAt(source) ? place : least,
  );
}
