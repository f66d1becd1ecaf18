import { webcrypto } from 'node:crypto';

import type { ModelFile } from '../backend.js';

/**
 * The content id of a model: SHA-256, in hex, of its canonical manifest. That is a line for each file, sorted by name
 * in code-unit order: the file's SHA-256 in hex, a space, its size in bytes in decimal, a space, its name, a newline.
 * Equal for equal content wherever it lies. Hashed off the event loop.
 */
export async function contentIdOf(files: readonly ModelFile[]): Promise<string> {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const lines = await Promise.all(
    sorted.map(async (file) => `${await sha256(file.data)} ${file.data.byteLength} ${file.name}\n`),
  );
  return sha256(new TextEncoder().encode(lines.join('')));
}

async function sha256(data: Uint8Array): Promise<string> {
  const digest = await webcrypto.subtle.digest('SHA-256', data);
  return Buffer.from(digest).toString('hex');
}
