import { AxleError, type Model, type ModelRepository } from '@axle/core/internal';

import { unsayable } from '../../wire/names.js';
import { undescribable } from './describable.js';
import { withoutPaths } from './without-paths.js';

/** One name in the operator's folders. */
export interface PublicEntry {
  readonly name: string;
  /** The latest; '' where there is none. */
  readonly version: string;
  /** Why it has no version. */
  readonly problem: AxleError | undefined;
}

/** The operator's folders as clients may know of them: by names that every protocol can say, and without paths. */
export class PublicFolders {
  constructor(private readonly repository: ModelRepository) {}

  /** @throws AxleError as the repository does */
  async list(): Promise<readonly PublicEntry[]> {
    return this.told(() => this.repository.list());
  }

  /** Lowest first. @throws AxleError as the repository does */
  async versions(name: string): Promise<readonly string[]> {
    return this.told(() => this.repository.versions(name));
  }

  async stamp(name: string): Promise<string> {
    return this.told(() => this.repository.stamp(name));
  }

  /**
   * @param reference NAME or NAME:VERSION
   * @throws AxleError NOT_FOUND; INVALID_ARGUMENT for a model that is damaged, or whose names no protocol can say;
   * RESOURCE_EXHAUSTED past a limit.
   */
  async read(reference: string): Promise<Model> {
    return this.told(async () => {
      const model = await this.repository.readNamed(reference);
      if (model === undefined) {
        const message = `there is no model '${reference}'`;
        throw (await this.problemOf(reference)) ?? new AxleError('NOT_FOUND', message);
      }
      const unsaid = unsayable(model.name);
      if (unsaid !== undefined) {
        const message = `model ${JSON.stringify(model.name)} ${unsaid}; rename its folder`;
        throw new AxleError('INVALID_ARGUMENT', message);
      }
      const problem = undescribable(model);
      if (problem === undefined) return model;
      throw new AxleError('INVALID_ARGUMENT', `model '${model.name}' cannot be served: ${problem}`);
    });
  }

  /** Why a name that is there has no version. */
  async problemOf(name: string): Promise<AxleError | undefined> {
    return (await this.list()).find((each) => each.name === name)?.problem;
  }

  private async told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw withoutPaths(error, this.repository.folders);
    }
  }
}
