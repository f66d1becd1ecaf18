import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { AxleError } from 'axle';

import { syncFolder, writeFileDurably } from '../durable-file.js';
import { bundleBytesMax, bundleIdOf, checkedFiles, type BundleFile } from './bundle-files.js';
import { bundleLabel, type BundleReference } from './bundle-reference.js';
import {
  manifestBytesMax,
  manifestFile,
  parseFunctionManifest,
  type FunctionManifest,
} from './function-manifest.js';
import { providePackages } from './provided-packages.js';

/** A function as it was pushed, with its files in a folder that nobody writes to. */
export interface Bundle {
  readonly id: string;
  readonly manifest: FunctionManifest;
  readonly folder: string;
}

/** A name of a bundle. */
export interface BundleTag extends BundleReference {
  readonly id: string;
  readonly bytes: number;
}

interface StoredBundle {
  readonly files: readonly BundleFile[];
}

export interface BundleStoreOptions {
  /** Of all blobs together; default 8 GiB. */
  readonly bytesMax?: number;
}

const bytesMaxDefault = 8 * 1024 ** 3;
const readOnly = 0o444;
const readAndExecute = 0o555;

/**
 * Bundles of functions by content: a file that several of them have is stored once, and a bundle whose files are all
 * there is stored by naming it. Everything appears under its name whole, on disk, or not at all.
 *
 *     blobs/SHA256        contents
 *     bundles/ID.json     files of a bundle
 *     tags/NAME/TAG       an ID
 *     unpacked/ID/        the files of a bundle, made when it first runs
 *     node_modules/       what functions may import without bringing it
 */
export class BundleStore {
  private readonly unpacking = new Map<string, Promise<string>>();
  private readonly bytesMax: number;

  private constructor(
    private readonly folder: string,
    private storedBytes: number,
    { bytesMax = bytesMaxDefault }: BundleStoreOptions,
  ) {
    this.bytesMax = bytesMax;
  }

  /** @throws Error of the file system. */
  static async open(folder: string, options: BundleStoreOptions = {}): Promise<BundleStore> {
    // Of a process that ended in the middle, or a machine that did: neither is synced to the disk.
    for (const name of ['unpacked', 'incoming']) {
      await rm(join(folder, name), { recursive: true, force: true });
    }
    for (const name of ['blobs', 'bundles', 'tags', 'unpacked', 'incoming']) {
      await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
    }
    await providePackages(folder);
    let storedBytes = 0;
    for (const name of await readdir(join(folder, 'blobs'))) {
      storedBytes += (await stat(join(folder, 'blobs', name))).size;
    }
    return new BundleStore(folder, storedBytes, options);
  }

  /**
   * Which contents are still to be sent.
   *
   * @throws AxleError as `checkedFiles`.
   */
  async missing(files: readonly BundleFile[]): Promise<string[]> {
    const wanted = new Set(checkedFiles(files).map(({ sha256 }) => sha256));
    const stored = new Set(await readdir(join(this.folder, 'blobs')));
    return [...wanted].filter((sha256) => !stored.has(sha256));
  }

  /**
   * Stores a content; one that is there already is read and left as it is.
   *
   * @throws AxleError DATA_LOSS for another content than `sha256` says, RESOURCE_EXHAUSTED over the limit of one bundle
   * or of the store.
   */
  async putBlob(sha256: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const incoming = join(this.folder, 'incoming', randomUUID());
    const file = await open(incoming, 'wx', 0o600);
    try {
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const chunk of content) {
        bytes += chunk.byteLength;
        this.checkRoom(bytes);
        hash.update(chunk);
        await file.write(chunk);
      }
      const actual = hash.digest('hex');
      if (actual !== sha256) {
        throw new AxleError(
          'DATA_LOSS',
          `what came has the SHA-256 ${actual}, not ${sha256}; send it again`,
        );
      }
      await file.sync();
      await this.place(incoming, sha256, bytes);
    } finally {
      await file.close();
      await unlink(incoming).catch(ignoreMissing);
    }
  }

  /**
   * Names a bundle whose contents are all there.
   *
   * @returns its id.
   * @throws AxleError FAILED_PRECONDITION when contents are missing, INVALID_ARGUMENT for a manifest that is none or of
   * another name.
   */
  async tag(reference: BundleReference, files: readonly BundleFile[]): Promise<string> {
    const ordered = checkedFiles(files);
    const missing = await this.missing(ordered);
    if (missing.length > 0) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        `${missing.length} contents of ${bundleLabel(reference)} are not here; send them first`,
      );
    }
    for (const file of ordered) await this.checkSize(file);
    const manifest = await this.manifestOf(ordered);
    if (manifest.name !== reference.name) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `${manifestFile} is of '${manifest.name}', and the bundle is named ${bundleLabel(reference)}; make them one`,
      );
    }
    await syncFolder(join(this.folder, 'blobs'));
    const id = bundleIdOf(ordered);
    const stored: StoredBundle = { files: ordered };
    await writeFileDurably(this.bundlePath(id), JSON.stringify(stored));
    const tag = this.tagPath(reference);
    await mkdir(dirname(tag), { recursive: true, mode: 0o700 });
    await writeFileDurably(tag, id);
    return id;
  }

  /**
   * The bundle that has the name now, ready to run.
   *
   * @throws AxleError NOT_FOUND.
   */
  async resolve(reference: BundleReference): Promise<Bundle> {
    return this.load(await this.idOf(reference));
  }

  /**
   * A bundle by its id: what a deployment keeps, so that a name that moves on does not change what runs.
   *
   * @throws AxleError NOT_FOUND.
   */
  async load(id: string): Promise<Bundle> {
    const { files } = await this.stored(id);
    const manifest = await this.manifestOf(files);
    let unpacked = this.unpacking.get(id);
    if (unpacked === undefined) {
      unpacked = this.unpack(id, files);
      this.unpacking.set(id, unpacked);
      unpacked.catch(() => this.unpacking.delete(id));
    }
    return { id, manifest, folder: await unpacked };
  }

  /** All names, in order. */
  async list(): Promise<BundleTag[]> {
    const tags: BundleTag[] = [];
    for (const name of await namesIn(join(this.folder, 'tags'))) {
      for (const tag of await namesIn(join(this.folder, 'tags', name))) {
        const id = await this.idOf({ name, tag });
        const { files } = await this.stored(id);
        tags.push({ name, tag, id, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) });
      }
    }
    return tags;
  }

  /**
   * Takes a name away. Contents go with `collect`.
   *
   * @throws AxleError NOT_FOUND.
   */
  async untag(reference: BundleReference): Promise<void> {
    await this.idOf(reference);
    await unlink(this.tagPath(reference));
  }

  /**
   * Removes bundles that have no name, and contents that no bundle has.
   *
   * @param kept bundles that stay without a name: those that are deployed.
   */
  async collect(kept: ReadonlySet<string>): Promise<void> {
    const named = new Set([...kept, ...(await this.list()).map(({ id }) => id)]);
    const blobs = new Set<string>();
    for (const file of await namesIn(join(this.folder, 'bundles'))) {
      const id = file.replace(/\.json$/, '');
      if (named.has(id)) {
        for (const { sha256 } of (await this.stored(id)).files) blobs.add(sha256);
        continue;
      }
      this.unpacking.delete(id);
      await unlink(join(this.folder, 'bundles', file));
      await rm(this.unpackedPath(id), { recursive: true, force: true });
    }
    for (const sha256 of await readdir(join(this.folder, 'blobs'))) {
      if (blobs.has(sha256)) continue;
      const path = this.blobPath(sha256);
      this.storedBytes -= (await stat(path)).size;
      await unlink(path);
    }
  }

  private checkRoom(bytes: number): void {
    if (bytes > bundleBytesMax) {
      throw new AxleError('RESOURCE_EXHAUSTED', `a file has at most ${bundleBytesMax} bytes`, {
        retryable: false,
      });
    }
    if (this.storedBytes + bytes > this.bytesMax) {
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `the store of functions holds at most ${this.bytesMax} bytes; remove some, or give it more`,
        { retryable: false },
      );
    }
  }

  private async place(incoming: string, sha256: string, bytes: number): Promise<void> {
    const path = this.blobPath(sha256);
    if (await isThere(path)) return;
    await rename(incoming, path);
    this.storedBytes += bytes;
  }

  /** A list from outside may give a content another size than it has. */
  private async checkSize({ path, bytes, sha256 }: BundleFile): Promise<void> {
    const { size } = await stat(this.blobPath(sha256));
    if (size === bytes) return;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(path)} has ${size} bytes, not ${bytes}`,
    );
  }

  private async manifestOf(files: readonly BundleFile[]): Promise<FunctionManifest> {
    const file = files.find(({ path }) => path === manifestFile);
    if (file === undefined || file.bytes > manifestBytesMax) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `a function has its ${manifestFile} of at most ${manifestBytesMax} bytes; axle function new makes one`,
      );
    }
    const manifest = parseFunctionManifest(await readFile(this.blobPath(file.sha256), 'utf8'));
    const { handler } = manifest;
    if (handler !== undefined && !files.some(({ path }) => path === handler)) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `${manifestFile}: there is no handler '${handler}' beside it`,
      );
    }
    return manifest;
  }

  private async idOf(reference: BundleReference): Promise<string> {
    try {
      return await readFile(this.tagPath(reference), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new AxleError(
        'NOT_FOUND',
        `there is no bundle ${bundleLabel(reference)}; push the folder of the function with axle function push`,
      );
    }
  }

  private async stored(id: string): Promise<StoredBundle> {
    try {
      return JSON.parse(await readFile(this.bundlePath(id), 'utf8')) as StoredBundle;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new AxleError('NOT_FOUND', `there is no bundle ${id}; push the function again`);
    }
  }

  private async unpack(id: string, files: readonly BundleFile[]): Promise<string> {
    const target = this.unpackedPath(id);
    if (await isThere(target)) return target;
    const incoming = join(this.folder, 'incoming', randomUUID());
    await mkdir(incoming, { mode: 0o700 });
    for (const { path, executable, sha256 } of files) {
      const full = join(incoming, path);
      await mkdir(dirname(full), { recursive: true });
      // A copy of its own: an instance that breaks its files breaks nobody else's. Shared where the file system can.
      await copyFile(this.blobPath(sha256), full, constants.COPYFILE_FICLONE);
      await chmod(full, executable ? readAndExecute : readOnly);
    }
    await rename(incoming, target);
    return target;
  }

  private blobPath(sha256: string): string {
    return join(this.folder, 'blobs', sha256);
  }

  private bundlePath(id: string): string {
    return join(this.folder, 'bundles', `${id}.json`);
  }

  private tagPath({ name, tag }: BundleReference): string {
    return join(this.folder, 'tags', name, tag);
  }

  private unpackedPath(id: string): string {
    return join(this.folder, 'unpacked', id);
  }
}

/** In order, without what a crash left. */
async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    ignoreMissing(error);
    return false;
  }
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
