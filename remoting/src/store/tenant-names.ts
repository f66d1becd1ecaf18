import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

import { AxleError } from '@axle/core/internal';

import { syncFolder } from './disk.js';
import { tenantNamesMax } from './store-limits.js';

/** What a name stands for. */
export interface NamedContent {
  readonly contentId: string;
  readonly format: 'onnx';
  /** The file that is the model. */
  readonly entry: string;
}

/** One version of a name. */
export interface NamedVersion extends NamedContent {
  readonly name: string;
  readonly version: string;
}

const versionPattern = /^[1-9][0-9]{0,14}$/;
const namePattern = /^[^/\\:]+$/;

/** The names that a tenant gave to its models. They are on the disk before anyone is told of them. */
export class TenantNames {
  private writing: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly path: string,
    private readonly durable: boolean,
    private versions: readonly NamedVersion[],
  ) {}

  static async open(path: string, durable: boolean): Promise<TenantNames> {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '[]';
      throw error;
    });
    return new TenantNames(path, durable, JSON.parse(text) as NamedVersion[]);
  }

  /** By name, then version. */
  get all(): readonly NamedVersion[] {
    return this.versions;
  }

  /** @param version undefined: the highest. */
  find(name: string, version: string | undefined): NamedVersion | undefined {
    const ofName = this.versions.filter((named) => named.name === name);
    if (version === undefined) return ofName.at(-1);
    return ofName.find((named) => named.version === version);
  }

  /**
   * @param version '' = the next free number.
   * @returns the version.
   * @throws AxleError INVALID_ARGUMENT for what can be no name or version; ALREADY_EXISTS unless `replace`;
   * RESOURCE_EXHAUSTED past `tenantNamesMax`.
   */
  add(name: string, version: string, content: NamedContent, replace: boolean): Promise<string> {
    return this.change(() => {
      checkName(name, version);
      const highest = Number(this.find(name, undefined)?.version ?? 0);
      const chosen = version === '' ? String(highest + 1) : version;
      const others = this.versions.filter((v) => v.name !== name || v.version !== chosen);
      if (others.length < this.versions.length && !replace) {
        throw new AxleError(
          'ALREADY_EXISTS',
          `there is a model '${name}:${chosen}'; leave the version out, or replace it`,
        );
      }
      if (others.length >= tenantNamesMax) {
        throw new AxleError(
          'RESOURCE_EXHAUSTED',
          `there are ${tenantNamesMax} names of models; remove some with axle model rm`,
          { retryable: false },
        );
      }
      const { contentId, format, entry } = content;
      const added = { name, version: chosen, contentId, format, entry };
      return [[...others, added].sort(byName), chosen];
    });
  }

  /**
   * @param version '' = all.
   * @throws AxleError NOT_FOUND.
   */
  remove(name: string, version: string): Promise<void> {
    return this.change(() => {
      const left = this.versions.filter(
        (named) => named.name !== name || (version !== '' && named.version !== version),
      );
      if (left.length === this.versions.length) {
        const wanted = version === '' ? name : `${name}:${version}`;
        throw new AxleError('NOT_FOUND', `there is no model '${wanted}' of yours to remove`);
      }
      return [left, undefined];
    });
  }

  /** One after another: each begins with what the one before it left. */
  private change<T>(next: () => [NamedVersion[], T]): Promise<T> {
    const changed = this.writing.then(async () => {
      const [versions, result] = next();
      await this.write(versions);
      this.versions = versions;
      return result;
    });
    this.writing = changed.catch(() => undefined);
    return changed;
  }

  private async write(versions: readonly NamedVersion[]): Promise<void> {
    const beside = `${this.path}.new`;
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const file = await open(beside, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(versions));
      if (this.durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, this.path);
    if (this.durable) await syncFolder(dirname(this.path));
  }
}

function checkName(name: string, version: string): void {
  if (!namePattern.test(name) || name.startsWith('.') || name.endsWith('.onnx')) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `'${name}' can be no model's name: it must not have / \\ or :, start with a dot or end with .onnx`,
    );
  }
  if (version !== '' && !versionPattern.test(version)) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `'${version}' is no version of a model; give a number from 1 up, or leave it out`,
    );
  }
}

function byName(a: NamedVersion, b: NamedVersion): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return Number(a.version) - Number(b.version);
}
