import type { Backend, Device, LoadedModel } from '../backend.js';
import type { Model } from './model.js';
import { warmUp } from './warm-up.js';

interface Entry {
  readonly backend: Backend;
  readonly loading: Promise<LoadedModel>;
  loaded: LoadedModel | undefined;
}

/** Models on devices: each is loaded once, by content, however many calls ask for it at the same time. */
export class ModelStore {
  private readonly entries = new Map<string, Entry>();

  has(device: Device, model: Model): boolean {
    return this.entries.get(keyOf(device, model))?.loaded !== undefined;
  }

  /** The loaded model at once when it is there: the common case costs no promise. */
  find(device: Device, model: Model): LoadedModel | undefined {
    return this.entries.get(keyOf(device, model))?.loaded;
  }

  /** @throws AxleError as the backend's `loadModel`, and of a warm-up that fails; a failed load is forgotten, so that it can be tried again. */
  async load(backend: Backend, device: Device, model: Model): Promise<LoadedModel> {
    const key = keyOf(device, model);
    const known = this.entries.get(key);
    if (known !== undefined) return known.loading;
    const loading = loadWarm(backend, device, model);
    const entry: Entry = { backend, loading, loaded: undefined };
    this.entries.set(key, entry);
    try {
      entry.loaded = await loading;
      return entry.loaded;
    } catch (error) {
      this.entries.delete(key);
      throw error;
    }
  }

  /** Unloads everything, waiting for loads that are under way. */
  async close(): Promise<void> {
    const entries = [...this.entries.values()];
    this.entries.clear();
    await Promise.all(
      entries.map(async ({ backend, loading }) => {
        const [outcome] = await Promise.allSettled([loading]);
        if (outcome.status === 'fulfilled') await backend.unloadModel(outcome.value);
      }),
    );
  }
}

async function loadWarm(backend: Backend, device: Device, model: Model): Promise<LoadedModel> {
  const loaded = await backend.loadModel(device, model.source);
  try {
    await warmUp(backend, device, loaded, model);
  } catch (error) {
    await backend.unloadModel(loaded);
    throw error;
  }
  return loaded;
}

function keyOf(device: Device, model: Model): string {
  return `${device.id} ${model.source.contentId}`;
}
