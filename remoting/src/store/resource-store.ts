import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { AxleError, messageOf } from '@axle/core/internal';

import { makeFolders } from '../make-folders.js';
import { storeError, syncFolder } from './disk.js';
import { readManifest, type Manifest } from './manifest.js';
import type { TenantStoreLimits } from './store-limits.js';
import { StoreLock } from './store-lock.js';
import type { StoredModel } from './stored-model.js';
import { TenantNames } from './tenant-names.js';
import { TenantShelf } from './tenant-shelf.js';
import { Upload } from './upload.js';

export interface ResourceStoreOptions {
  readonly folder: string;
  /** It goes when the store is closed. */
  readonly isTemporary: boolean;
  /** Of all tenants together, each charged in full. */
  readonly bytesMax: number;
  readonly limitsOf: (tenant: string) => TenantStoreLimits;
  /** Of all tenants together, beside `bytesMax`, as they are now; default none. */
  readonly wholeLimits?: (() => TenantStoreLimits) | undefined;
  /**
   * Folder of files by their SHA-256 that are linked to rather than sent again: of a store whose server alone sends
   * models here, so that nobody learns what others have. Default none.
   */
  readonly lender?: string | undefined;
}

const manifestName = 'manifest';
const folderMode = 0o700;

/**
 * The models that clients sent, on the disk: by tenant and content id, verified while they come, the same file stored
 * once. What nobody names and no connection holds goes when room is needed, what was used longest ago first.
 *
 *     FOLDER/blobs/SHA-256                          each file once
 *     FOLDER/tenants/KEY/names.json                 what the tenant published
 *     FOLDER/tenants/KEY/models/CONTENT-ID/content  links to blobs, under the model's own names
 *     FOLDER/tenants/KEY/uploads/RANDOM/content     on its way, or broken off
 */
export class ResourceStore {
  private readonly shelves = new Map<string, TenantShelf>();
  private readonly opening = new Map<string, Promise<TenantShelf>>();
  /** Folders that are being removed. */
  private readonly leaving = new Map<string, Promise<void>>();

  private constructor(
    private readonly options: ResourceStoreOptions,
    private readonly lock: StoreLock,
  ) {}

  /**
   * Takes up what an earlier run left.
   *
   * @throws AxleError FAILED_PRECONDITION when another process has it; as the system says.
   */
  static async open(options: ResourceStoreOptions): Promise<ResourceStore> {
    const { folder } = options;
    try {
      await makeFolders(join(folder, 'blobs'), folderMode);
      await makeFolders(join(folder, 'tenants'), folderMode);
      const store = new ResourceStore(options, await StoreLock.take(folder));
      for (const key of await readdir(join(folder, 'tenants'))) await store.openShelf(key);
      await store.sweepBlobs();
      return store;
    } catch (error) {
      if (error instanceof AxleError) throw error;
      throw new AxleError(
        'FAILED_PRECONDITION',
        `cannot use ${folder} as --store: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /** Where a store in this folder has its files by their SHA-256, to lend them to another. */
  static blobsIn(folder: string): string {
    return resolve(folder, 'blobs');
  }

  get bytesMax(): number {
    return this.options.bytesMax;
  }

  /** Of all tenants, each charged in full. */
  get bytes(): number {
    let bytes = 0;
    for (const shelf of this.shelves.values()) bytes += shelf.bytes;
    return bytes;
  }

  /** Most that one model of the tenant may have. */
  modelBytesMax(tenant: string): number {
    return Math.min(this.options.bytesMax, this.options.limitsOf(tenant).modelBytes);
  }

  /** What the tenant has. */
  shelf(tenant: string): Promise<TenantShelf> {
    return this.openShelf(keyOf(tenant));
  }

  /** The same at once, where it is open: every tenant's that has something is. */
  openShelfOf(tenant: string): TenantShelf | undefined {
    return this.shelves.get(keyOf(tenant));
  }

  /**
   * Makes room for a model, and looks at what there is of it.
   *
   * @throws AxleError RESOURCE_EXHAUSTED when there is no room, in the tenant's limits, the store's or on the disk.
   */
  async begin(tenant: string, manifest: Manifest): Promise<Upload> {
    const shelf = await this.shelf(tenant);
    const broken = shelf.broken.get(manifest.contentId);
    if (broken === undefined) this.makeRoom(shelf, manifest, this.options.limitsOf(tenant));
    else shelf.broken.delete(manifest.contentId);
    const folder = broken?.folder ?? join(shelf.folder, 'uploads', randomBytes(12).toString('hex'));
    shelf.begins(manifest);
    try {
      if (broken === undefined) {
        await mkdir(folder, { recursive: true, mode: folderMode });
        await writeFile(join(folder, manifestName), manifest.text, { mode: 0o600 });
      }
      return await Upload.begin(manifest, {
        folder,
        blobs: join(this.options.folder, 'blobs'),
        durable: this.isDurable,
        ownCopy: (sha256) => shelf.copyOf(sha256) ?? this.lent(sha256),
      });
    } catch (error) {
      shelf.ends(manifest);
      await rm(folder, { recursive: true, force: true });
      throw storeError(error);
    }
  }

  /** An upload is whole: from now on the tenant has the model, pinned until `unpin`. */
  async finish(tenant: string, upload: Upload): Promise<StoredModel> {
    const shelf = await this.shelf(tenant);
    const { manifest } = upload;
    try {
      const target = shelf.folderOf(manifest.contentId);
      await this.leaving.get(target);
      if (this.isDurable) await syncFolder(upload.folder);
      await upload.moveTo(target);
      if (this.isDurable) await syncFolder(join(shelf.folder, 'models'));
    } catch (error) {
      await upload.discard();
      throw storeError(error);
    } finally {
      shelf.ends(manifest);
    }
    return this.pin(shelf.has(manifest, Date.now()));
  }

  /** An upload breaks off: what came is kept for the next try, unless `keeps` is false. */
  async abandon(tenant: string, upload: Upload, keeps: boolean): Promise<void> {
    const shelf = await this.shelf(tenant);
    const { manifest, folder } = upload;
    const { contentId } = manifest;
    shelf.ends(manifest);
    if (!keeps || shelf.broken.has(contentId) || shelf.models.has(contentId)) {
      await upload.discard();
      return;
    }
    shelf.broken.set(contentId, { manifest, folder, usedAt: Date.now() });
    await upload.pause();
  }

  pin(stored: StoredModel): StoredModel {
    stored.pins += 1;
    return stored;
  }

  unpin(stored: StoredModel): void {
    stored.pins -= 1;
    stored.usedAt = Date.now();
    const now = new Date();
    // So that the next run knows too. It may be gone by now.
    utimes(stored.folder, now, now).catch(() => undefined);
  }

  /** Takes a model away whose files are not what they were. */
  async drop(tenant: string, stored: StoredModel): Promise<void> {
    const shelf = await this.shelf(tenant);
    const { manifest, folder } = stored;
    if (shelf.models.get(manifest.contentId) === stored) shelf.models.delete(manifest.contentId);
    for (const { sha256 } of manifest.files) {
      await unlink(join(this.options.folder, 'blobs', sha256)).catch(() => undefined);
    }
    await rm(folder, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    await this.lock.release();
    if (this.options.isTemporary) await rm(this.options.folder, { recursive: true, force: true });
  }

  private lent(sha256: string): string | undefined {
    const { lender } = this.options;
    return lender === undefined ? undefined : join(lender, sha256);
  }

  private get isDurable(): boolean {
    return !this.options.isTemporary;
  }

  private openShelf(key: string): Promise<TenantShelf> {
    const known = this.opening.get(key);
    if (known !== undefined) return known;
    const opening = this.readShelf(key);
    this.opening.set(key, opening);
    opening.catch(() => this.opening.delete(key));
    return opening;
  }

  private async readShelf(key: string): Promise<TenantShelf> {
    const folder = join(this.options.folder, 'tenants', key);
    const names = await TenantNames.open(join(folder, 'names.json'), this.isDurable);
    const shelf = new TenantShelf(key, folder, names);
    for (const { path, usedAt, manifest } of await readKept(join(folder, 'models'))) {
      shelf.has(manifest, usedAt).usedAt = usedAt;
      if (path !== shelf.folderOf(manifest.contentId)) await rm(path, { recursive: true });
    }
    for (const { path, usedAt, manifest } of await readKept(join(folder, 'uploads'))) {
      const { contentId } = manifest;
      if (shelf.broken.has(contentId) || shelf.models.has(contentId)) {
        await rm(path, { recursive: true });
      } else {
        shelf.broken.set(contentId, { manifest, folder: path, usedAt });
      }
    }
    this.shelves.set(key, shelf);
    return shelf;
  }

  /** @throws AxleError RESOURCE_EXHAUSTED */
  private makeRoom(shelf: TenantShelf, manifest: Manifest, limits: TenantStoreLimits): void {
    shelf.checkFits(manifest, limits);
    const { bytes } = manifest;
    while (shelf.count + 1 > limits.models || shelf.bytes + bytes > limits.modelBytes) {
      if (this.collect([shelf])) continue;
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `this tenant has ${shelf.count} models of ${shelf.bytes} bytes on the server, all named or in use; ` +
          `${limits.models} of ${limits.modelBytes} bytes are the most: remove some with axle model rm`,
        { retryable: false },
      );
    }
    const whole = this.options.wholeLimits?.();
    const bytesMax = Math.min(this.options.bytesMax, whole?.modelBytes ?? Infinity);
    const modelsMax = whole?.models ?? Infinity;
    const all = [...this.shelves.values()];
    const count = () => all.reduce((sum, one) => sum + one.count, 0);
    while (this.bytes + bytes > bytesMax || count() + 1 > modelsMax) {
      if (this.collect(all)) continue;
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `no room for a model of ${bytes} bytes in the server's model store: remove models with axle model rm, ` +
          `or start the server with more --store-bytes or higher limits`,
        { retryable: false },
      );
    }
  }

  /** Takes away what was used longest ago of what nobody needs. @returns false: there is nothing */
  private collect(shelves: readonly TenantShelf[]): boolean {
    let oldest: { usedAt: number; take: () => { folder: string; manifest: Manifest } } | undefined;
    for (const shelf of shelves) {
      for (const [id, one] of shelf.models) {
        if (!one.isGarbage || one.usedAt >= (oldest?.usedAt ?? Infinity)) continue;
        oldest = { usedAt: one.usedAt, take: () => (shelf.models.delete(id), one) };
      }
      for (const [id, one] of shelf.broken) {
        if (one.usedAt >= (oldest?.usedAt ?? Infinity)) continue;
        oldest = { usedAt: one.usedAt, take: () => (shelf.broken.delete(id), one) };
      }
    }
    if (oldest === undefined) return false;
    const { folder, manifest } = oldest.take();
    const removed = this.remove(folder, manifest);
    this.leaving.set(folder, removed);
    void removed.then(() => this.leaving.delete(folder));
    return true;
  }

  /** Never fails: what is left over is swept when the store is opened the next time. */
  private async remove(folder: string, manifest: Manifest): Promise<void> {
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    for (const { sha256 } of manifest.files) {
      // A device host may link to it still, which is no reason to keep it here.
      if (!this.isNeeded(sha256)) await this.removeBlob(sha256);
    }
  }

  private isNeeded(sha256: string): boolean {
    return [...this.shelves.values()].some((shelf) => shelf.copyOf(sha256) !== undefined);
  }

  private async sweepBlobs(): Promise<void> {
    for (const name of await readdir(join(this.options.folder, 'blobs')))
      await this.sweepBlob(name);
  }

  /** Removes what no model links to any more. */
  private async sweepBlob(sha256: string): Promise<void> {
    const path = join(this.options.folder, 'blobs', sha256);
    const info = await stat(path).catch(() => undefined);
    // Whoever links to it in between keeps the file, and only shares it no more.
    if (info?.nlink === 1) await this.removeBlob(sha256);
  }

  private async removeBlob(sha256: string): Promise<void> {
    await unlink(join(this.options.folder, 'blobs', sha256)).catch(() => undefined);
  }
}

interface Kept {
  readonly path: string;
  readonly usedAt: number;
  readonly manifest: Manifest;
}

/** What lies in a folder of models or uploads; what has no sound manifest is removed. */
async function readKept(folder: string): Promise<Kept[]> {
  const names = await readdir(folder).catch(() => []);
  const kept: Kept[] = [];
  for (const name of names) {
    const path = join(folder, name);
    try {
      const text = await readFile(join(path, manifestName));
      const contentId = createHash('sha256').update(text).digest('hex');
      const { mtimeMs } = await stat(path);
      kept.push({ path, usedAt: mtimeMs, manifest: readManifest(text, contentId) });
    } catch {
      await rm(path, { recursive: true, force: true });
    }
  }
  return kept;
}

/** A tenant may be called anything; a folder may not. */
/** Tenants whose keys are known without working them out again. */
const keysMax = 4096;
const keys = new Map<string, string>();

function keyOf(tenant: string): string {
  const known = keys.get(tenant);
  if (known !== undefined) return known;
  const key = createHash('sha256').update(tenant).digest('hex');
  if (keys.size >= keysMax) keys.clear();
  keys.set(tenant, key);
  return key;
}
