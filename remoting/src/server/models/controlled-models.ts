import { AxleError, messageOf, type Model } from '@axle/core/internal';

import type { Log } from '../../log/log.js';
import type { PublicEntry, PublicFolders } from './public-folders.js';
import type { ModelDevices, NamedModelVersion } from './public-models.js';

/** One version of a model, as it is. */
export interface VersionState extends NamedModelVersion {
  readonly state: 'LOADING' | 'READY' | 'UNAVAILABLE' | '';
  /** Why it is unavailable. */
  readonly reason: string;
}

interface Entry {
  state: VersionState['state'];
  reason: string;
  /** That calls find; while another is loaded in its place, the one before. */
  model: Model | undefined;
}

/**
 * Models that are loaded and unloaded by name. One that is loaded again stays as it is until the new one is on its device
 * and warm: then calls find that, and those that found the old one end with it.
 */
export class ControlledModels {
  /** By name, then version. */
  private readonly entries = new Map<string, Map<string, Entry>>();
  /** By name: one load after another. */
  private readonly loading = new Map<string, Promise<void>>();
  /** As the folders were when they were looked at. */
  private readonly stamps = new Map<string, string>();
  private problem = '';

  constructor(
    private readonly folders: PublicFolders,
    private readonly devices: ModelDevices,
    private readonly log: Log,
  ) {}

  /** @param reference NAME, for its latest version, or NAME:VERSION */
  find(reference: string): Model | undefined {
    const latest = this.readyOf(reference).at(-1);
    if (latest !== undefined) return this.entries.get(reference)?.get(latest)?.model;
    const at = reference.lastIndexOf(':');
    return this.entries.get(reference.slice(0, at))?.get(reference.slice(at + 1))?.model;
  }

  /** Each with its latest version, by name. */
  get latest(): NamedModelVersion[] {
    return [...this.entries.keys()]
      .sort()
      .map((name) => ({ name, version: this.readyOf(name).at(-1) }))
      .filter((each): each is NamedModelVersion => each.version !== undefined);
  }

  versions(name: string): string[] {
    return this.readyOf(name);
  }

  /** @param there models of the folders, of which some may never have been asked for */
  statesWith(there: readonly PublicEntry[]): VersionState[] {
    const known = [...this.entries].flatMap(([name, versions]) =>
      [...versions].map(([version, { state, reason }]) => ({ name, version, state, reason })),
    );
    const others = there
      .filter(({ name }) => !this.entries.has(name))
      .map(({ name, version, problem }) => ({
        ...{ name, version },
        state: problem === undefined ? ('' as const) : ('UNAVAILABLE' as const),
        reason: problem?.message ?? '',
      }));
    return [...known, ...others].sort((a, b) =>
      a.name === b.name ? Number(a.version) - Number(b.version) : a.name < b.name ? -1 : 1,
    );
  }

  /** @throws AxleError NOT_FOUND; the first failure of a version, when the others are loaded. */
  load(name: string): Promise<void> {
    const before = this.loading.get(name) ?? Promise.resolve();
    const loading = before.catch(() => undefined).then(() => this.loadNow(name));
    this.loading.set(name, loading);
    const over = () => {
      if (this.loading.get(name) === loading) this.loading.delete(name);
    };
    loading.then(over, over);
    return loading;
  }

  /** @throws AxleError NOT_FOUND */
  unload(name: string): void {
    const versions = this.entries.get(name);
    if (versions === undefined) throw notThere(name, 'unload');
    for (const version of versions.keys()) this.leave(name, version);
  }

  /** Does what has changed in the folders since the last look. What cannot be done is logged, and does not end the server. */
  async follow(): Promise<void> {
    try {
      const names = new Set((await this.served()).map(({ name }) => name));
      for (const name of this.entries.keys()) {
        if (names.has(name) || (await this.folders.versions(name)).length > 0) continue;
        // Folders that turned unreadable while they were listed seemed empty: that fails here.
        await this.folders.stamp(name);
        this.unload(name);
        this.stamps.delete(name);
      }
      for (const name of names) await this.followOne(name);
      this.problem = '';
    } catch (error) {
      const problem = messageOf(error);
      // As long as it stays, once.
      if (problem !== this.problem)
        this.log(`models stay as they are: ${problem}`, { level: 'warn' });
      this.problem = problem;
    }
  }

  /** Those that have a version. */
  private async served(): Promise<readonly NamedModelVersion[]> {
    return (await this.folders.list()).filter(({ problem }) => problem === undefined);
  }

  private async followOne(name: string): Promise<void> {
    const stamp = await this.folders.stamp(name);
    if (this.stamps.get(name) === stamp) return;
    this.stamps.set(name, stamp);
    await this.load(name).catch((error: unknown) => {
      this.log(`model '${name}': ${messageOf(error)}`, { level: 'warn' });
    });
  }

  private async loadNow(name: string): Promise<void> {
    const wanted = await this.folders.versions(name);
    if (wanted.length === 0) {
      throw (await this.folders.problemOf(name)) ?? notThere(name, 'load');
    }
    const versions = this.entries.get(name) ?? new Map<string, Entry>();
    this.entries.set(name, versions);
    const failures: unknown[] = [];
    for (const version of wanted) {
      await this.loadVersion(name, version, versions).catch((error: unknown) => {
        failures.push(error);
      });
    }
    for (const [version, { model }] of versions) {
      if (model !== undefined && !wanted.includes(version)) this.leave(name, version);
    }
    if (failures.length > 0) throw failures[0];
  }

  private async loadVersion(
    name: string,
    version: string,
    versions: Map<string, Entry>,
  ): Promise<void> {
    const entry = versions.get(version) ?? { state: 'LOADING', reason: '', model: undefined };
    versions.set(version, entry);
    const before = entry.model;
    if (before === undefined) entry.state = 'LOADING';
    try {
      const model = await this.folders.read(`${name}:${version}`);
      await this.devices.load(model);
      entry.model = model;
      entry.state = 'READY';
      entry.reason = '';
      if (before !== undefined && !isSame(before, model)) this.free(before);
    } catch (error) {
      // What was there before goes on.
      entry.state = before === undefined ? 'UNAVAILABLE' : 'READY';
      entry.reason = messageOf(error);
      throw error;
    }
  }

  private leave(name: string, version: string): void {
    const entry = this.entries.get(name)?.get(version);
    if (entry?.model === undefined) return;
    const { model } = entry;
    entry.model = undefined;
    entry.state = 'UNAVAILABLE';
    entry.reason = 'unloaded';
    this.free(model);
  }

  private free(model: Model): void {
    this.devices.unload(model).catch((error: unknown) => {
      this.log(`model '${model.name}' could not be unloaded: ${messageOf(error)}`, {
        level: 'warn',
      });
    });
  }

  /** Lowest first. */
  private readyOf(name: string): string[] {
    const versions = [...(this.entries.get(name) ?? [])];
    return versions
      .filter(([, { model }]) => model !== undefined)
      .map(([version]) => version)
      .sort((a, b) => Number(a) - Number(b));
  }
}

/** On a device there is one of both. */
function isSame(a: Model, b: Model): boolean {
  return a.source.contentId === b.source.contentId;
}

function notThere(name: string, done: 'load' | 'unload'): AxleError {
  const message = `failed to ${done} '${name}', no such model in the repository`;
  return new AxleError('NOT_FOUND', message);
}
