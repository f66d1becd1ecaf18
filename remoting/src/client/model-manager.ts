import {
  ModelRepository,
  limitsWith,
  type ConnectOptions,
  type ModelReport,
} from '@axle/core/internal';

import { connectBackend } from './connect-remote.js';
import type { RemoteBackend } from './remote-backend.js';

export interface PushOptions {
  /** Default: what the model is called here. */
  readonly name?: string | undefined;
  /** Default: the next free number. */
  readonly version?: string | undefined;
  /** Put it in the place of the version that is there. */
  readonly replace?: boolean | undefined;
}

/** The names of a tenant's models on a server. */
export class ModelManager {
  private constructor(
    private readonly backend: RemoteBackend,
    private readonly repository: ModelRepository,
  ) {}

  /** @throws AxleError as `connectRemote`. */
  static async connect(url: URL, options: ConnectOptions): Promise<ModelManager> {
    const { models = [] } = options;
    const folders = typeof models === 'string' ? [models] : models;
    const repository = new ModelRepository(folders, limitsWith(options.limits ?? {}));
    return new ModelManager(await connectBackend(url, options), repository);
  }

  /**
   * Sends a model and gives it a name, for all connections of the tenant. What the server has of it is not sent again.
   *
   * @param reference a folder, an .onnx file, or a name in `models`.
   * @returns what the server says of it.
   * @throws AxleError as reading models; ALREADY_EXISTS for a version that is there; RESOURCE_EXHAUSTED for want of room.
   */
  async push(reference: string, options: PushOptions): Promise<ModelReport> {
    const model = await this.repository.read(reference);
    const { name = model.name, version = '', replace = false } = options;
    await this.backend.publish(model.source, { name, version, replace });
    const ofName = (await this.list()).filter((each) => each.name === name);
    const found = ofName.find((each) => each.version === version) ?? ofName.at(-1);
    return found as ModelReport;
  }

  /** All that the tenant sees, also the operator's: by name and version. */
  list(): Promise<readonly ModelReport[]> {
    return this.backend.catalogue.versions();
  }

  /**
   * @param version '' = all.
   * @throws AxleError NOT_FOUND.
   */
  remove(name: string, version: string): Promise<void> {
    return this.backend.catalogue.remove(name, version);
  }

  close(): Promise<void> {
    return this.backend.close();
  }
}
