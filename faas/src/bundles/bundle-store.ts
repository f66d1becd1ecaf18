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
  symlink,
  unlink,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { AxleError } from 'axle';

import { syncFolder, writeFileDurably } from '../durable-file.js';
import { bundleBytesMax, bundleIdOf, checkedFiles, type BundleFile } from './bundle-files.js';
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

export interface BundleStoreOptions {
  /** For which contents that came stay without a bundle, milliseconds; default 1 h. */
  readonly pushMsMax?: number;
  /** Of all blobs together; default 8 GiB. */
  readonly bytesMax?: number | undefined;
}

const pushMsMaxDefault = 3_600_000;
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
  /** Contents that came, or that somebody was told are here, and until when they wait to be named. */
  private readonly pushed = new Map<string, number>();
  private readonly pushMsMax: number;
  private last: Promise<unknown> = Promise.resolve();
  private readonly bytesMax: number;

  private constructor(
    private readonly folder: string,
    private storedBytes: number,
    { bytesMax = bytesMaxDefault, pushMsMax = pushMsMaxDefault }: BundleStoreOptions,
  ) {
    this.bytesMax = bytesMax;
    this.pushMsMax = pushMsMax;
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
    const missing: string[] = [];
    for (const sha256 of wanted) {
      if (stored.has(sha256)) this.expect(sha256);
      else missing.push(sha256);
    }
    return missing;
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
    await syncFolder(join(this.folder, 'blobs'));
    const id = bundleIdOf(ordered);
    const stored: StoredBundle = { files: ordered };
    await writeFileDurably(this.bundlePath(id), JSON.stringify(stored));
    const tag = this.tagPath(reference);
    await mkdir(dirname(tag), { recursive: true, mode: 0o700 });
    await syncFolder(join(this.folder, 'tags'));
    await writeFileDurably(tag, id);
    for (const { sha256 } of ordered) this.pushed.delete(sha256);
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
    const blobs = new Set(await readdir(join(this.folder, 'blobs')));
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
    if (!areAllKnown) return;
    for (const sha256 of await readdir(join(this.folder, 'blobs'))) {
      if (blobs.has(sha256) || (this.pushed.get(sha256) ?? 0) > performance.now()) continue;
      this.pushed.delete(sha256);
      const path = this.blobPath(sha256);
      this.storedBytes -= (await stat(path)).size;
      await unlink(path);
    }
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

  /** Somebody is about to name it. */
  private expect(sha256: string): void {
    this.pushed.set(sha256, performance.now() + this.pushMsMax);
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
    this.expect(sha256);
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

  /** What a link says. */
  private async targetOf(file: BundleFile): Promise<string> {
    if (file.bytes <= linkBytesMax) return this.textOf(file);
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the link ${JSON.stringify(file.path)} has ${file.bytes} bytes; ${linkBytesMax} are the most`,
    );
  }

  private textOf(file: BundleFile): Promise<string> {
    return readFile(this.blobPath(file.sha256), 'utf8').catch((error: unknown) => {
      throw contentGone(file, error);
    });
  }

  private async manifestOf(files: readonly BundleFile[]): Promise<FunctionManifest> {
    const file = files.find(({ path }) => path === manifestFile);
    if (file === undefined || file.link === true || file.bytes > manifestBytesMax) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `a function has its ${manifestFile} of at most ${manifestBytesMax} bytes; axle function new makes one`,
      );
    }
    const manifest = parseFunctionManifest(await this.textOf(file));
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
    const incoming = join(this.folder, 'incoming', randomUUID());
    await mkdir(incoming, { mode: 0o700 });
    for (const file of files) {
      const { path, executable, sha256 } = file;
      const full = join(incoming, path);
      await mkdir(dirname(full), { recursive: true });
      if (file.link === true) {
        const target = await this.targetOf(file);
        checkLink(path, target);
        await symlink(target, full);
        continue;
      }
      // A copy of its own: an instance that breaks its files breaks nobody else's. Shared where the file system can.
      await copyFile(this.blobPath(sha256), full, constants.COPYFILE_FICLONE).catch(
        (error: unknown) => {
          throw contentGone(file, error);
        },
      );
      await chmod(full, executable ? readAndExecute : readOnly);
    }
    await rename(incoming, target);
    return target;
  }

  /** Naming and removing see each other whole, or not at all. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
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

/** Of a bundle that is stored. What else the system says stays as it is. */
function contentGone({ path, sha256 }: BundleFile, cause: unknown): unknown {
  const { code = 'ENOENT' } = (cause ?? {}) as NodeJS.ErrnoException;
  if (code !== 'ENOENT') return cause;
  return new AxleError(
    'DATA_LOSS',
    `the content of ${JSON.stringify(path)}, ${sha256}, is gone; push the function again`,
    { cause },
  );
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
