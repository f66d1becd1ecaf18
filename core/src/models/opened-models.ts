import type { ModelSource } from '../backend.js';
import { LruMap } from '../lru-map.js';
import type { Model } from './model.js';

interface Opened {
  readonly reading: Promise<Model>;
  model: Model | undefined;
}

/**
 * The models that a session opened, by what its caller calls them. Each is read once and then kept, with its files, as
 * long as it is among the last ones used; a failure is not kept.
 */
export class OpenedModels {
  private readonly opened: LruMap<string, Opened>;

  /** @param bytesMax of the files of all of them; one model alone may have more. */
  constructor(
    modelsMax: number,
    private readonly bytesMax: number,
    private readonly read: (reference: string | URL) => Promise<Model>,
  ) {
    this.opened = new LruMap(modelsMax);
  }

  /** The model at once when it was read before: the common case costs no promise. */
  known(reference: string | URL): Model | undefined {
    return this.opened.get(keyOf(reference))?.model;
  }

  /** @throws as `read`. */
  async open(reference: string | URL): Promise<Model> {
    const key = keyOf(reference);
    const known = this.opened.get(key);
    if (known !== undefined) return known.reading;
    const opened: Opened = { reading: this.read(reference), model: undefined };
    this.opened.set(key, opened);
    try {
      opened.model = await opened.reading;
    } catch (error) {
      // Another may be at it by now, when this one was forgotten meanwhile.
      if (this.opened.get(key) === opened) this.opened.delete(key);
      throw error;
    }
    // Looked up once more, so that it is not itself the one to go.
    this.opened.get(key);
    this.keepWithinBytes();
    return opened.model;
  }

  private keepWithinBytes(): void {
    const bytes = () =>
      this.opened.values().reduce((sum, { model }) => sum + (model ? bytesOf(model.source) : 0), 0);
    while (this.opened.size > 1 && bytes() > this.bytesMax) this.opened.deleteOldest();
  }
}

function keyOf(reference: string | URL): string {
  return typeof reference === 'string' ? reference : String(reference);
}

/** Of a model's files. */
export function bytesOf({ files }: ModelSource): number {
  return files.reduce((sum, file) => sum + file.data.byteLength, 0);
}
