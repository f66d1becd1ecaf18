import { chmod, mkdir, readdir, readFile, rename, rm, symlink, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { AxleError } from 'axle';

import { syncFolder, writeFileDurably } from '../durable-file.js';
import { BlobStore, contentGone, isThere, type BlobStoreOptions } from './blob-store.js';
import { bundleIdOf, checkedFiles, type BundleFile } from './bundle-files.js';
import { checkLink, linkBytesMax } from './bundle-links.js';
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
  /** Why it cannot run; undefined: it can. */
  readonly trouble?: string;
}

interface StoredBundle {
  readonly files: readonly BundleFile[];
}

export type BundleStoreOptions = BlobStoreOptions;

const readOnly = 0o444;
const readAndExecute = 0o555;

/**
 * Bundles of functions by content: a file that several of them have is stored once, and a bundle whose files are all
 * there is stored by naming it. Everything appears under its name whole, on disk, or not at all.
 *
 *     blobs/, incoming/   contents
 *     bundles/ID.json     files of a bundle
 *     tags/NAME/TAG       an ID
 *     unpacked/ID/        the files of a bundle, made when it first runs
 *     node_modules/       what functions may import without bringing it
 */
export class BundleStore {
  private readonly unpacking = new Map<string, Promise<string>>();
  private last: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly folder: string,
    private readonly blobs: BlobStore,
  ) {}

  /** @throws Error of the file system. */
  static async open(folder: string, options: BundleStoreOptions = {}): Promise<BundleStore> {
    const blobs = await BlobStore.open(folder, options);
    // Of a process that ended in the middle, or a machine that did: it is not synced to the disk.
    await rm(join(folder, 'unpacked'), { recursive: true, force: true });
    for (const name of ['bundles', 'tags', 'unpacked'])
      await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
    await providePackages(folder);
    return new BundleStore(folder, blobs);
  }

  /**
   * Which contents are still to be sent.
   *
   * @throws AxleError as `checkedFiles`.
   */
  async missing(files: readonly BundleFile[]): Promise<string[]> {
    return this.blobs.missing(new Set(checkedFiles(files).map(({ sha256 }) => sha256)));
  }

  /** As `BlobStore.put`. */
  putBlob(sha256: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    return this.blobs.put(sha256, content);
  }

  /**
   * Names a bundle whose contents are all there.
   *
   * @returns its id.
   * @throws AxleError FAILED_PRECONDITION when contents are missing, INVALID_ARGUMENT for a manifest that is none or of
   * another name, or a link that leads out of the bundle.
   */
  tag(reference: BundleReference, files: readonly BundleFile[]): Promise<string> {
    return this.inTurn(() => this.tagNow(reference, files));
  }

  private async tagNow(reference: BundleReference, files: readonly BundleFile[]): Promise<string> {
    const ordered = checkedFiles(files);
    const missing = await this.missing(ordered);
    if (missing.length > 0) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        `${missing.length} contents of ${bundleLabel(reference)} are not here; send them first`,
      );
    }
    for (const file of ordered) {
      await this.checkSize(file);
      if (file.link === true) checkLink(file.path, await this.targetOf(file));
    }
    const manifest = await this.manifestOf(ordered);
    if (manifest.name !== reference.name) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `${manifestFile} is of '${manifest.name}', and the bundle is named ${bundleLabel(reference)}; make them one`,
      );
    }
    await this.blobs.sync();
    const id = bundleIdOf(ordered);
    const stored: StoredBundle = { files: ordered };
    await writeFileDurably(this.bundlePath(id), JSON.stringify(stored));
    const tag = this.tagPath(reference);
    await mkdir(dirname(tag), { recursive: true, mode: 0o700 });
    await syncFolder(join(this.folder, 'tags'));
    await writeFileDurably(tag, id);
    this.blobs.named(ordered);
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

  /** All names, in order; of those that cannot run, why. */
  list(): Promise<BundleTag[]> {
    return this.inTurn(() => this.listNow());
  }

  private async listNow(): Promise<BundleTag[]> {
    const tags: BundleTag[] = [];
    for (const name of await namesIn(join(this.folder, 'tags'))) {
      for (const tag of await namesIn(join(this.folder, 'tags', name))) {
        const id = await this.idOf({ name, tag });
        try {
          const { files } = await this.stored(id);
          tags.push({ name, tag, id, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) });
        } catch (error) {
          if (!(error instanceof AxleError)) throw error;
          tags.push({ name, tag, id, bytes: 0, trouble: error.message });
        }
      }
    }
    return tags;
  }

  /**
   * Takes a name away. Contents go with `collect`.
   *
   * @throws AxleError NOT_FOUND.
   */
  untag(reference: BundleReference): Promise<void> {
    return this.inTurn(async () => {
      await this.idOf(reference);
      const path = this.tagPath(reference);
      await unlink(path);
      await syncFolder(dirname(path));
    });
  }

  /** Which of these bundles cannot run, and why: their lists or contents are gone, or are not what they were. */
  async troubles(ids: Iterable<string>): Promise<Map<string, AxleError>> {
    const blobs = await this.blobs.list();
    const troubles = new Map<string, AxleError>();
    for (const id of ids) {
      try {
        const { files } = await this.stored(id);
        const missing = files.find(({ sha256 }) => !blobs.has(sha256));
        if (missing !== undefined) throw contentGone(missing, undefined);
        await this.manifestOf(files);
      } catch (error) {
        if (!(error instanceof AxleError)) throw error;
        troubles.set(id, error);
      }
    }
    return troubles;
  }

  /**
   * Removes bundles that have no name, contents that no bundle has, and files that nobody runs. What is being pushed
   * stays; and all contents do as long as a bundle cannot be read: they may be its own.
   *
   * @param inUse bundles that stay without a name, with their files: those that are deployed, or that an instance has.
   */
  collect(inUse: ReadonlySet<string>): Promise<void> {
    return this.inTurn(() => this.collectNow(inUse));
  }

  private async collectNow(inUse: ReadonlySet<string>): Promise<void> {
    const tags = await this.listNow();
    const named = new Set([...inUse, ...tags.map(({ id }) => id)]);
    const blobs = new Set<string>();
    let areAllKnown = true;
    for (const id of named) {
      const files = await this.filesOf(id);
      areAllKnown &&= files !== undefined;
      for (const { sha256 } of files ?? []) blobs.add(sha256);
    }
    for (const file of await namesIn(join(this.folder, 'bundles'))) {
      const id = file.replace(/\.json$/, '');
      if (!named.has(id)) await unlink(join(this.folder, 'bundles', file));
    }
    for (const id of await readdir(join(this.folder, 'unpacked'))) {
      if (inUse.has(id)) continue;
      this.unpacking.delete(id);
      await rm(this.unpackedPath(id), { recursive: true, force: true });
    }
    if (areAllKnown) await this.blobs.keep(blobs);
  }

  /** Undefined where they cannot be read. */
  private async filesOf(id: string): Promise<readonly BundleFile[] | undefined> {
    try {
      return (await this.stored(id)).files;
    } catch (error) {
      if (error instanceof AxleError) return undefined;
      throw error;
    }
  }

  /** A list from outside may give a content another size than it has. */
  private async checkSize({ path, bytes, sha256 }: BundleFile): Promise<void> {
    const size = await this.blobs.sizeOf(sha256);
    if (size === bytes) return;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(path)} has ${size} bytes, not ${bytes}`,
    );
  }

  /** What a link says. */
  private async targetOf(file: BundleFile): Promise<string> {
    if (file.bytes <= linkBytesMax) return this.blobs.textOf(file);
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the link ${JSON.stringify(file.path)} has ${file.bytes} bytes; ${linkBytesMax} are the most`,
    );
  }

  private async manifestOf(files: readonly BundleFile[]): Promise<FunctionManifest> {
    const file = files.find(({ path }) => path === manifestFile);
    if (file === undefined || file.link === true || file.bytes > manifestBytesMax) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `a function has its ${manifestFile} of at most ${manifestBytesMax} bytes; axle function new makes one`,
      );
    }
    const manifest = parseFunctionManifest(await this.blobs.textOf(file));
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

  /** @throws AxleError NOT_FOUND, DATA_LOSS for a list that is not what its id says. */
  private async stored(id: string): Promise<StoredBundle> {
    let text: string;
    try {
      text = await readFile(this.bundlePath(id), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new AxleError('NOT_FOUND', `there is no bundle ${id}; push the function again`);
    }
    const bundle = parsedBundle(text);
    if (bundle !== undefined && bundleIdOf(bundle.files) === id) return bundle;
    throw new AxleError(
      'DATA_LOSS',
      `the list of files of the bundle ${id} is broken; push the function again`,
    );
  }

  private async unpack(id: string, files: readonly BundleFile[]): Promise<string> {
    const target = this.unpackedPath(id);
    if (await isThere(target)) return target;
    const incoming = this.blobs.incomingPath();
    try {
      await mkdir(incoming, { mode: 0o700 });
      for (const file of files) await this.unpackFile(file, join(incoming, file.path));
      await rename(incoming, target);
    } finally {
      await rm(incoming, { recursive: true, force: true });
    }
    return target;
  }

  private async unpackFile(file: BundleFile, to: string): Promise<void> {
    await mkdir(dirname(to), { recursive: true });
    if (file.link === true) {
      const target = await this.targetOf(file);
      checkLink(file.path, target);
      await symlink(target, to);
      return;
    }
    // A copy of its own: an instance that breaks its files breaks nobody else's.
    await this.blobs.copy(file, to);
    await chmod(to, file.executable ? readAndExecute : readOnly);
  }

  /** Naming and removing see each other whole, or not at all. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
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

/** Undefined where the text is none. */
function parsedBundle(text: string): StoredBundle | undefined {
  try {
    const { files } = JSON.parse(text) as Partial<StoredBundle>;
    return Array.isArray(files)
      ? { files: checkedFiles(files as readonly BundleFile[]) }
      : undefined;
  } catch {
    return undefined;
  }
}

/** In order, without what a crash left. */
async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
}
