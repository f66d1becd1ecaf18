import type { ModelReport } from '../results.js';
import type { Model } from './model.js';
import type { ModelRepository } from './repository.js';

/** Models that are named somewhere else, such as on a server. */
export interface ModelCatalogue {
  list(): Promise<readonly ModelReport[]>;
  /**
   * @param name NAME or NAME:VERSION.
   * @throws AxleError NOT_FOUND; otherwise as the other side says.
   */
  read(name: string): Promise<Model>;
  /** A model that came of `read`. */
  describe(model: Model): ModelReport;
}

/** Where references to models lead: into folders of this machine, and for names that are not there, into a catalogue. */
export class ModelLibrary {
  constructor(
    readonly repository: ModelRepository,
    readonly catalogue: ModelCatalogue | undefined,
  ) {}

  /** @throws as ModelRepository and ModelCatalogue do. */
  async read(reference: string | URL): Promise<Model> {
    const { repository, catalogue } = this;
    if (catalogue === undefined || reference instanceof URL || isPath(reference)) {
      return repository.read(reference);
    }
    return (await repository.readNamed(reference)) ?? catalogue.read(reference);
  }
}

function isPath(reference: string): boolean {
  return reference.includes('/') || reference.endsWith('.onnx');
}
