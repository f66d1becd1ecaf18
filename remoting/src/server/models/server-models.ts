import { createHash } from 'node:crypto';
import { dirname, join, posix } from 'node:path';

import {
  AxleError,
  OpenedModels,
  contentIdOf,
  servingIdOf,
  sha256Of,
  type Limits,
  type Model,
  type ModelFile,
  type ModelRepository,
} from '@axle/core/internal';

import type { AuditFields } from '../../log/audit-log.js';
import type { ResourceStore } from '../../store/resource-store.js';
import type { StoredModel } from '../../store/stored-model.js';
import type { NamedVersion } from '../../store/tenant-names.js';
import type { UpstreamModels } from '../../relay/upstream-models.js';
import type { NamedModelVersion, PublicModels } from './public-models.js';
import { undescribable } from './describable.js';
import { withoutPaths } from './without-paths.js';

/** A model that a client may run, and what it is called. */
export interface ServedModel {
  readonly name: string;
  readonly version: string;
  /** Hex, as clients know it. */
  readonly contentId: string;
  /** Of all files. */
  readonly bytes: number;
  /** The file that is the model. */
  readonly entry: string;
  /** How many it has; undefined: as its config says. */
  readonly labels?: number | undefined;
  readonly model: Model;
}

/** One of the names that a tenant sees. */
export interface ListedModel {
  readonly name: string;
  readonly version: string;
  readonly found: ServedModel | AxleError;
}

interface Opening {
  readonly tenant: string;
  readonly stored: StoredModel;
  readonly name: string;
  readonly entry: string;
}

/**
 * The models of a server: the operator's, which everyone sees, and those that each tenant sent. A tenant's own names go
 * before the operator's.
 */
export class ServerModels {
  /** Told of names that tenants gave and took away. */
  onNamed: ((event: 'model pushed' | 'model removed', what: AuditFields) => void) | undefined;
  private readonly opened: OpenedModels;
  private readonly openings = new Map<string, Opening>();

  constructor(
    private readonly repository: ModelRepository,
    readonly store: ResourceStore,
    { openedModelsMax, openedModelBytesMax }: Limits,
    /** Of the operator. */
    readonly published: PublicModels,
    /** A model that a client sends is taken for the operator's where it is the same. */
    readonly sharesPublic: boolean,
    /** Of servers that this one relays to; undefined: of none. */
    private readonly upstream: UpstreamModels | undefined,
  ) {
    this.opened = new OpenedModels(openedModelsMax, openedModelBytesMax, (key) =>
      this.readStored(this.openings.get(key as string) as Opening),
    );
  }

  /**
   * A model of the store, read and checked.
   *
   * @param stored pinned
   * @throws AxleError as core's repository does for a model that is damaged; DATA_LOSS when its files are not what came.
   */
  async open(tenant: string, stored: StoredModel, name: string, entry: string): Promise<Model> {
    const key = JSON.stringify([tenant, stored.manifest.contentId, name, entry]);
    const known = this.opened.known(key);
    if (known !== undefined) return known;
    this.openings.set(key, { tenant, stored, name, entry });
    try {
      return await this.opened.open(key);
    } finally {
      this.openings.delete(key);
    }
  }

  /** As `named`, at once, of one of the operator's that was read before; undefined: only `named` can say. */
  known(tenant: string, reference: string): ServedModel | undefined {
    const names = this.store.openShelfOf(tenant)?.names;
    if (names !== undefined && names.all.length > 0) return undefined;
    const model = this.published.known(reference);
    if (model !== undefined) return servedModels.get(model);
    return this.upstream?.known(tenant, reference);
  }

  /**
   * A model of the store under a tenant's name, or else one of the operator's.
   *
   * @param reference NAME or NAME:VERSION
   * @returns with what of the store must be unpinned when it is not used any more.
   * @throws AxleError NOT_FOUND; as `open`.
   */
  async named(
    tenant: string,
    reference: string,
  ): Promise<{ readonly served: ServedModel; readonly stored: StoredModel | undefined }> {
    const shelf = await this.store.shelf(tenant);
    const [, name = reference, version] = /^(.*):([^:]*)$/.exec(reference) ?? [];
    const own = shelf.names.find(name, version);
    if (own !== undefined) return this.namedByTenant(tenant, own);
    if (isPlainName(reference)) {
      const model = await this.published.open(reference).catch(unlessMissing);
      if (model !== undefined) return { served: await publicModel(model), stored: undefined };
      const served = await this.upstream?.named(tenant, reference);
      if (served !== undefined) return { served, stored: undefined };
    }
    const named = await this.names(tenant);
    const known = named.filter(({ version }) => version !== '').map((each) => each.name);
    throw new AxleError(
      'NOT_FOUND',
      `the server has no model '${reference}'; there are: ${[...new Set(known)].join(', ') || 'none'}`,
    );
  }

  /**
   * The operator's model of this name, where a client has the same: neither sent nor kept a second time, and computed
   * together with that of others.
   */
  async samePublic({
    name,
    contentId,
    bytes,
    entry,
  }: Omit<ServedModel, 'version' | 'model'>): Promise<ServedModel | undefined> {
    if (!isPlainName(name)) return undefined;
    const versions = await this.published.versions(name).catch(() => []);
    for (const version of [...versions].reverse()) {
      const model = await this.published.open(`${name}:${version}`).catch(() => undefined);
      if (model === undefined || bytesOf(model) !== bytes) continue;
      const served = await publicModel(model);
      if (served.contentId === contentId && served.entry === entry) return served;
    }
    return undefined;
  }

  /** What the tenant sees, by name and version. */
  async list(tenant: string): Promise<ListedModel[]> {
    const listed: ListedModel[] = [];
    // One at a time: each is read whole, and they may be large.
    for (const { name, version } of await this.names(tenant)) {
      const reference = version === '' ? name : `${name}:${version}`;
      listed.push({ name, version, found: await this.lookAt(tenant, reference) });
    }
    const names = new Set(listed.map(({ name }) => name));
    const further = (await this.upstream?.list(tenant)) ?? [];
    return [...listed, ...further.filter(({ name }) => !names.has(name))].sort(byNameAndVersion);
  }

  /** Of a model that the tenant sees, lowest first. */
  async versions(tenant: string, name: string): Promise<string[]> {
    const { names } = await this.store.shelf(tenant);
    const own = names.all.filter((each) => each.name === name).map(({ version }) => version);
    const found = own.length > 0 ? own : await this.othersVersions(tenant, name);
    return [...found].sort((a, b) => Number(a) - Number(b));
  }

  /** Of the operator's, or else of a server that this one relays to. */
  private async othersVersions(tenant: string, name: string): Promise<readonly string[]> {
    const published = await this.published.versions(name).catch(unlessMissing);
    if (this.upstream === undefined || (published ?? []).length > 0) return published ?? [];
    const listed = await this.upstream.list(tenant);
    return listed.filter((each) => each.name === name).map(({ version }) => version);
  }

  private async lookAt(tenant: string, reference: string): Promise<ServedModel | AxleError> {
    try {
      const { served, stored } = await this.named(tenant, reference);
      if (stored !== undefined) this.store.unpin(stored);
      return served;
    } catch (error) {
      if (error instanceof AxleError) return error;
      throw error;
    }
  }

  private async names(tenant: string): Promise<{ name: string; version: string }[]> {
    const { names } = await this.store.shelf(tenant);
    const own = new Set(names.all.map(({ name }) => name));
    const operators = (await this.published.list()).filter(({ name }) => !own.has(name));
    return [...names.all, ...operators].sort(byNameAndVersion);
  }

  private async namedByTenant(
    tenant: string,
    { name, version, contentId, entry }: NamedVersion,
  ): Promise<{ served: ServedModel; stored: StoredModel }> {
    const found = (await this.store.shelf(tenant)).models.get(contentId);
    if (found === undefined) {
      throw new AxleError(
        'DATA_LOSS',
        `the files of model '${name}:${version}' are gone from the server; push it again with --replace`,
      );
    }
    const stored = this.store.pin(found);
    try {
      const model = await this.open(tenant, stored, name, entry);
      const { bytes } = stored.manifest;
      return { served: { name, version, contentId, bytes, entry, model }, stored };
    } catch (error) {
      this.store.unpin(stored);
      throw error;
    }
  }

  private async readStored({ tenant, stored, name, entry }: Opening): Promise<Model> {
    const { manifest, folder } = stored;
    if (!manifest.files.some((file) => file.name === entry)) {
      throw new AxleError('INVALID_ARGUMENT', `'${entry}' is none of the files of model '${name}'`);
    }
    const content = join(folder, 'content');
    const model = await this.repository.readFolder(name, content, entry).catch((error: unknown) => {
      throw withoutPaths(error, [content]);
    });
    const problem = undescribable(model);
    if (problem !== undefined) {
      throw new AxleError('INVALID_ARGUMENT', `model '${name}' cannot be served: ${problem}`);
    }
    const { source } = model;
    const digests = new Map(manifest.files.map((file) => [file.name, file.sha256]));
    const ofEntry = (file: string) => posix.join(dirname(entry), file);
    for (const file of source.files) {
      await this.check(tenant, stored, digests.get(ofEntry(file.name)), file.data);
    }
    for (const file of source.companions ?? []) {
      await this.check(tenant, stored, digests.get(file.name), file.data);
    }
    // Nobody may tell by a device whether somebody else has the same model, nor be computed together with them.
    const scoped = (id: string) => createHash('sha256').update(`${tenant}\0${id}`).digest('hex');
    const contentId = scoped(source.contentId);
    const servingId = scoped(servingIdOf(source));
    return { ...model, source: { ...source, contentId, servingId } };
  }

  private async check(
    tenant: string,
    stored: StoredModel,
    sha256: string | undefined,
    data: Uint8Array,
  ): Promise<void> {
    if ((await sha256Of(data)) === sha256) return;
    await this.store.drop(tenant, stored);
    throw new AxleError(
      'DATA_LOSS',
      "the files of the model were damaged on the server's disk and are removed; send it again",
    );
  }
}

function byNameAndVersion(a: NamedModelVersion, b: NamedModelVersion): number {
  if (a.name === b.name) return Number(a.version) - Number(b.version);
  return a.name < b.name ? -1 : 1;
}

/** Not a path. */
function isPlainName(reference: string): boolean {
  return reference !== '' && !reference.includes('/') && !reference.includes('\\');
}

function filesOf({ source }: Model): readonly ModelFile[] {
  return [...source.files, ...(source.companions ?? [])];
}

function bytesOf(model: Model): number {
  return filesOf(model).reduce((sum, { data }) => sum + data.byteLength, 0);
}

/** Of the operator's models: hashing all files for each call would cost more than the call. */
const servedModels = new WeakMap<Model, ServedModel>();

/** What the operator's model is as clients see it: the same content as if they had sent it themselves. */
async function publicModel(model: Model): Promise<ServedModel> {
  const known = servedModels.get(model);
  if (known !== undefined) return known;
  const { name, version, source } = model;
  const contentId = await contentIdOf(filesOf(model));
  const entry = source.files[0]?.name ?? '';
  const served = { name, version, contentId, bytes: bytesOf(model), entry, model };
  servedModels.set(model, served);
  return served;
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof AxleError && error.code === 'NOT_FOUND') return undefined;
  throw error;
}
