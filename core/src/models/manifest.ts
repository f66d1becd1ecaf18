import { webcrypto } from 'node:crypto';

import type { ModelFile } from '../backend.js';

/**
 * The canonical manifest of a model: a line for each file, sorted by name in code-unit order: the file's SHA-256 in
 * hex, a space, its size in bytes in decimal, a space, its name, a newline. Hashed off the event loop.
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

/** In the order of the manifest. */
export function sortedByName<T extends { readonly name: string }>(files: readonly T[]): T[] {
  return [...files].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** A model's bytes never change, and several ask for the digest of the same ones. */
const digests = new WeakMap<Uint8Array, string>();

/** In hex, of bytes that do not change. */
export async function sha256Of(data: Uint8Array): Promise<string> {
  const known = digests.get(data);
  if (known !== undefined) return known;
  const digest = Buffer.from(await webcrypto.subtle.digest('SHA-256', data)).toString('hex');
  digests.set(data, digest);
  return digest;
}
