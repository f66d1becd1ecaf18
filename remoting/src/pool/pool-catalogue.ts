import {
  AxleError,
  type Model,
  type ModelCatalogue,
  type ModelReport,
  type ModelSource,
} from '@axle/core/internal';

import type { RemoteBackend } from '../client/remote-backend.js';
import type { Member } from './member.js';

interface Found {
  readonly reference: string;
  readonly report: ModelReport;
}

/** The names of models that the servers of a pool answer to, as one of them says. */
export class PoolCatalogue implements ModelCatalogue {
  members: readonly Member[] = [];
  private readonly bySource = new WeakMap<ModelSource, Found>();

  /** Of all servers that are there. */
  async list(): Promise<readonly ModelReport[]> {
    const lists = await Promise.allSettled(this.up.map(({ catalogue }) => catalogue.list()));
    const reports = lists.flatMap((list) => (list.status === 'fulfilled' ? list.value : []));
    const byName = new Map<string, ModelReport>();
    for (const report of reports) {
      const known = byName.get(report.name);
      if (known === undefined || Number(known.version) < Number(report.version)) {
        byName.set(report.name, report);
      }
    }
    return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** As the first server says that has it. */
  async read(name: string): Promise<Model> {
    let failure: unknown = new AxleError('UNAVAILABLE', 'no server of the pool is there');
    for (const { catalogue } of this.up) {
      try {
        const model = await catalogue.read(name);
        const { name: found, version } = model;
        // Of no server's own: each has it under a handle of its own.
        const source = { ...model.source };
        this.bySource.set(source, {
          reference: `${found}:${version}`,
          report: catalogue.describe(model),
        });
        return { ...model, source };
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  describe({ source, name }: Model): ModelReport {
    const found = this.bySource.get(source);
    if (found === undefined) throw new AxleError('INTERNAL', `'${name}' is no model of the pool`);
    return found.report;
  }

  /** Whether it stands for a model that servers have under a name. */
  has(source: ModelSource): boolean {
    return this.bySource.has(source);
  }

  /** The same model on one server. @throws AxleError FAILED_PRECONDITION where that has another, or none. */
  readonly sourceOn = async (remote: RemoteBackend, source: ModelSource): Promise<ModelSource> => {
    const found = this.bySource.get(source);
    if (found === undefined) return source;
    const { reference } = found;
    let there: Model;
    try {
      there = await remote.catalogue.read(reference);
    } catch (error) {
      if (!(error instanceof AxleError) || error.code !== 'NOT_FOUND') throw error;
      throw new AxleError('FAILED_PRECONDITION', `it has no model '${reference}', as others have`, {
        cause: error,
      });
    }
    if (there.source.contentId === source.contentId) return there.source;
    throw new AxleError(
      'FAILED_PRECONDITION',
      `its model '${reference}' is another one than that of other servers; give them the same under that name`,
    );
  };

  private get up(): readonly RemoteBackend[] {
    return this.members.flatMap((member) => member.own ?? []);
  }
}
