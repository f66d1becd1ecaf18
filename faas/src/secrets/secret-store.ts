import { mkdir, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { AxleError } from 'axle';

import { syncFolder, writeFileDurably } from '../durable-file.js';

export const secretsMax = 1000;
export const secretBytesMax = 1024 * 1024;
/** The name of a file, too. */
export const secretName = /^[A-Za-z0-9](?:[\w.-]{0,251}[A-Za-z0-9])?$/;

/** Secrets: a file of mode 0600 for each, which functions that name it can read. Values are told to instances and to nobody else. */
export class SecretStore {
  private constructor(
    private readonly folder: string,
    private readonly names: Set<string>,
  ) {}

  /** @throws Error of the file system. */
  static async open(folder: string): Promise<SecretStore> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const names = new Set<string>();
    for (const name of await readdir(folder)) {
      // What a crash left of a write.
      if (name.startsWith('.')) await unlink(join(folder, name));
      else if (secretName.test(name)) names.add(name);
    }
    return new SecretStore(folder, names);
  }

  list(): string[] {
    return [...this.names].sort();
  }

  /** @throws AxleError ALREADY_EXISTS, or as `update`. */
  async create(name: string, value: Uint8Array): Promise<void> {
    if (this.names.has(name)) {
      throw new AxleError(
        'ALREADY_EXISTS',
        `there is a secret ${name} already; update it with PUT, or remove it first`,
      );
    }
    if (this.names.size >= secretsMax) {
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
    this.names.delete(name);
  }

  /** For an instance. @throws AxleError FAILED_PRECONDITION naming one that is not there. */
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

  /** @throws AxleError FAILED_PRECONDITION naming one that is not there. */
  require(names: readonly string[]): void {
    const missing = names.find((name) => !this.names.has(name));
    if (missing === undefined) return;
    throw new AxleError(
      'FAILED_PRECONDITION',
      `there is no secret ${missing}; create it with POST /system/secrets first`,
    );
  }

  private check(name: string): void {
    if (this.names.has(name)) return;
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
    this.names.add(name);
  }
}
