import { mkdir, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { AxleError } from 'axle';

import { syncFolder, writeFileDurably } from '../durable-file.js';

export const secretsMax = 1000;
export const secretBytesMax = 1024 * 1024;
/** Of all secrets that one function names: an instance is told them at its start. */
export const secretsOfFunctionBytesMax = 8 * 1024 * 1024;
/** The name of a file, too. */
export const secretName = /^[A-Za-z0-9](?:[\w.-]{0,251}[A-Za-z0-9])?$/;

/** Secrets: a file of mode 0600 for each, which functions that name it can read. Values are told to instances and to nobody else. */
export class SecretStore {
  private constructor(
    private readonly folder: string,
    /** Bytes by name. */
    private readonly sizes: Map<string, number>,
  ) {}

  /** @throws Error of the file system. */
  static async open(folder: string): Promise<SecretStore> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const sizes = new Map<string, number>();
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const { name } = entry;
      if (entry.isDirectory()) continue;
      // What a crash left of a write.
      if (name.startsWith('.')) await unlink(join(folder, name));
      else if (secretName.test(name)) sizes.set(name, (await stat(join(folder, name))).size);
    }
    return new SecretStore(folder, sizes);
  }

  list(): string[] {
    return [...this.sizes.keys()].sort();
  }

  /** @throws AxleError ALREADY_EXISTS, or as `update`. */
  async create(name: string, value: Uint8Array): Promise<void> {
    if (this.sizes.has(name)) {
      throw new AxleError(
        'ALREADY_EXISTS',
        `there is a secret ${name} already; update it with PUT, or remove it first`,
      );
    }
    if (this.sizes.size >= secretsMax) {
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `there are ${secretsMax} secrets, the most; remove one first`,
        {
          retryable: false,
        },
      );
    }
    await this.write(name, value);
  }

  /** Instances that run keep the old one. @throws AxleError NOT_FOUND, INVALID_ARGUMENT for its name or its size. */
  async update(name: string, value: Uint8Array): Promise<void> {
    this.check(name);
    await this.write(name, value);
  }

  /** @throws AxleError NOT_FOUND */
  async remove(name: string): Promise<void> {
    this.check(name);
    await unlink(join(this.folder, name));
    await syncFolder(this.folder);
    this.sizes.delete(name);
  }

  /** For an instance. @throws as `require`. */
  async read(names: readonly string[]): Promise<Map<string, Uint8Array>> {
    this.require(names);
    const values = new Map<string, Uint8Array>();
    for (const name of names) {
      const path = join(this.folder, name);
      const { size } = await stat(path);
      if (size > secretBytesMax)
        throw new AxleError('DATA_LOSS', `secret ${name} has ${size} bytes`);
      values.set(name, await readFile(path));
    }
    return values;
  }

  /** @throws AxleError FAILED_PRECONDITION naming one that is not there, or where they are too large together. */
  require(names: readonly string[]): void {
    const missing = names.find((name) => !this.sizes.has(name));
    if (missing !== undefined) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        `there is no secret ${missing}; create it with POST /system/secrets first`,
      );
    }
    const bytes = names.reduce((sum, name) => sum + (this.sizes.get(name) ?? 0), 0);
    if (bytes <= secretsOfFunctionBytesMax) return;
    throw new AxleError(
      'FAILED_PRECONDITION',
      `the secrets of the function have ${bytes} bytes, and ${secretsOfFunctionBytesMax} are the most; name fewer`,
    );
  }

  private check(name: string): void {
    if (this.sizes.has(name)) return;
    throw new AxleError('NOT_FOUND', `there is no secret ${JSON.stringify(name.slice(0, 100))}`);
  }

  private async write(name: string, value: Uint8Array): Promise<void> {
    if (!secretName.test(name)) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        'the name of a secret has 1 to 253 letters, digits, . _ and -, not at its ends',
      );
    }
    if (value.byteLength > secretBytesMax) {
      throw new AxleError('INVALID_ARGUMENT', `a secret has at most ${secretBytesMax} bytes`);
    }
    await writeFileDurably(join(this.folder, name), value);
    this.sizes.set(name, value.byteLength);
  }
}
