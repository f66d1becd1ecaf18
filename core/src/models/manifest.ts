import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';

import type { ModelFile, ModelSource } from '../backend.js';

/**
 * The canonical manifest of a model: a line for each file, sorted by name in code-unit order: the file's SHA-256 in
 * hex, a space, its size in bytes in decimal, a space, its name, a newline.
 */
export async function manifestOf(files: readonly ModelFile[]): Promise<string> {
  const lines = await Promise.all(
    sortedByName(files).map(
      async ({ data, name }) => `${await sha256Of(data)} ${data.byteLength} ${name}\n`,
    ),
  );
  return lines.join('');
}

/** SHA-256, in hex, of the canonical manifest: equal for equal content wherever it lies. */
export async function contentIdOf(files: readonly ModelFile[]): Promise<string> {
  return sha256Of(new TextEncoder().encode(await manifestOf(files)));
}

/** What a model is known by to whoever reads its companions, too. */
export function servingIdOf({ contentId, servingId }: ModelSource): string {
  return servingId ?? contentId;
}

/** In the order of the manifest. */
export function sortedByName<T extends { readonly name: string }>(files: readonly T[]): T[] {
  return [...files].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Half a millisecond's work, after which others have their turn. */
const turnBytes = 1024 * 1024;

/** A model's bytes never change, and several ask for the digest of the same ones. */
const digests = new WeakMap<Uint8Array, string>();

/**
 * In hex, of bytes that do not change. By turns on this thread: `subtle.digest` hashes on another, but copies the whole content on this one first,
 * which takes longer than hashing it does.
 */
export async function sha256Of(data: Uint8Array): Promise<string> {
  const known = digests.get(data);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  for (let at = 0; at < data.byteLength; at += turnBytes) {
    if (at > 0) await turn();
    hash.update(data.subarray(at, at + turnBytes));
  }
  const digest = hash.digest('hex');
  digests.set(data, digest);
  return digest;
}
