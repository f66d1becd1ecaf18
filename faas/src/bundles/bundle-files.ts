import { createHash } from 'node:crypto';
import { createReadStream, openAsBlob } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

import { AxleError } from 'axle';

import { checkLink } from './bundle-links.js';

/** A file of a bundle, or a link, whose content is the path that it leads to. */
export interface BundleFile {
  /** Relative, with `/`. */
  readonly path: string;
  readonly bytes: number;
  readonly executable: boolean;
  /** Of its content, in hex. */
  readonly sha256: string;
  /** Undefined: it is a file. */
  readonly link?: true;
}

export const bundleFilesMax = 10_000;
export const bundleBytesMax = 512 * 1024 * 1024;
export const bundlePathMax = 1024;
/** Never part of a function. */
const leftOut: ReadonlySet<string> = new Set(['.git', '.DS_Store']);
const digest = /^[0-9a-f]{64}$/;
const ownerExecutes = 0o100;

/**
 * The files under a folder, in the order of their paths, hashed.
 *
 * @throws AxleError INVALID_ARGUMENT for what is neither a file, a folder nor a link that stays inside, and RESOURCE_EXHAUSTED over
 * `bundleFilesMax` or `bundleBytesMax`.
 */
export async function readBundleFiles(folder: string): Promise<BundleFile[]> {
  const paths: string[] = [];
  await gather(folder, '', paths);
  const files: BundleFile[] = [];
  for (const path of paths) files.push(await readBundleFile(folder, path));
  return checkedFiles(files);
}

/**
 * Holds a list of files from outside against the limits.
 *
 * @returns the list in the order of the paths.
 * @throws AxleError INVALID_ARGUMENT naming the file, RESOURCE_EXHAUSTED as `readBundleFiles`.
 */
export function checkedFiles(files: readonly BundleFile[]): BundleFile[] {
  if (files.length > bundleFilesMax) throw tooMany(`${files.length} files`, `${bundleFilesMax}`);
  let bytes = 0;
  const seen = new Set<string>();
  for (const file of files) {
    checkPath(file.path);
    if (file.link === true && file.executable)
      throw wrongFile(file.path, 'is a link, and those have no mode');
    if (seen.has(file.path)) throw wrongFile(file.path, 'is there twice');
    seen.add(file.path);
    if (!digest.test(file.sha256)) throw wrongFile(file.path, 'has no SHA-256 in hex');
    if (!Number.isSafeInteger(file.bytes) || file.bytes < 0) {
      throw wrongFile(file.path, 'has no size in bytes');
    }
    bytes += file.bytes;
  }
  if (bytes > bundleBytesMax) throw tooMany(`${bytes} bytes`, `${bundleBytesMax}`);
  for (const { path } of files) checkNoFolder(path, seen);
  return [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What names a bundle: SHA-256 in hex of its files, one line each. */
export function bundleIdOf(files: readonly BundleFile[]): string {
  const hash = createHash('sha256');
  for (const { path, bytes, executable, sha256, link } of checkedFiles(files)) {
    const line = [path, bytes, executable, sha256, ...(link === true ? ['link'] : [])];
    hash.update(`${JSON.stringify(line)}\n`);
  }
  return hash.digest('hex');
}

async function gather(folder: string, under: string, paths: string[]): Promise<void> {
  for (const entry of await readdir(join(folder, under), { withFileTypes: true })) {
    if (leftOut.has(entry.name)) continue;
    const path = under === '' ? entry.name : `${under}/${entry.name}`;
    // What stands for bytes that are no UTF-8 is no name of anything, unless it is meant as such.
    if (entry.name.includes('\ufffd') && !(await isThere(join(folder, path))))
      throw wrongFile(path, 'has a name that is no UTF-8; rename it, or leave it out');
    if (entry.isDirectory()) await gather(folder, path, paths);
    else paths.push(path);
    if (paths.length > bundleFilesMax) throw tooMany('more files', `${bundleFilesMax}`);
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return false;
  }
}

async function readBundleFile(folder: string, path: string): Promise<BundleFile> {
  const full = join(folder, path);
  const stats = await lstat(full);
  if (stats.isSymbolicLink()) return linkOf(path, await readlink(full));
  if (!stats.isFile())
    throw wrongFile(path, 'is neither a file, a folder nor a link; leave it out');
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(full)) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).byteLength;
  }
  const executable = (stats.mode & ownerExecutes) !== 0;
  return { path, bytes, executable, sha256: hash.digest('hex') };
}

function linkOf(path: string, target: string): BundleFile {
  checkLink(path, target);
  const content = Buffer.from(target);
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { path, bytes: content.byteLength, executable: false, sha256, link: true };
}

/** What is sent of a file of the folder. */
export async function bundleFileContent(folder: string, { path, link }: BundleFile): Promise<Blob> {
  const full = join(folder, path);
  return link === true ? new Blob([await readlink(full)]) : openAsBlob(full);
}

function checkPath(path: string): void {
  const segments = path.split('/');
  const isInside = segments.every((each) => each !== '' && each !== '.' && each !== '..');
  if (isInside && path.length <= bundlePathMax && !/[\0\\]/.test(path)) return;
  throw wrongFile(path, `is no path inside a folder of at most ${bundlePathMax} characters`);
}

/** A file cannot lie in a file, or beyond a link. */
function checkNoFolder(path: string, all: ReadonlySet<string>): void {
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    const above = path.slice(0, at);
    if (all.has(above)) throw wrongFile(above, 'is a file and a folder');
  }
}

function wrongFile(path: string, what: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', `${JSON.stringify(path.slice(0, 200))} ${what}`);
}

function tooMany(has: string, most: string): AxleError {
  return new AxleError(
    'RESOURCE_EXHAUSTED',
    `a function has ${has}, and ${most} are the most; leave out what it does not need`,
    { retryable: false },
  );
}
