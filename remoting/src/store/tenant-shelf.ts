import { join } from 'node:path';

import { AxleError } from '@axle/core/internal';

import type { Manifest } from './manifest.js';
import type { TenantStoreLimits } from './store-limits.js';
import { StoredModel, type BrokenUpload } from './stored-model.js';
import type { NamedContent, TenantNames } from './tenant-names.js';

/** What one tenant has in the store. What is there of others shows in nothing here. */
export class TenantShelf {
  readonly models = new Map<string, StoredModel>();
  readonly broken = new Map<string, BrokenUpload>();
  /** Uploads under way, and their bytes. */
  private underWay = 0;
  private bytesUnderWay = 0;

  /** @param key what the tenant is called on the disk. */
  constructor(
    readonly key: string,
    readonly folder: string,
    readonly names: TenantNames,
  ) {}

  /** Charged in full. */
  get bytes(): number {
    let bytes = this.bytesUnderWay;
    for (const { manifest } of this.models.values()) bytes += manifest.bytes;
    for (const { manifest } of this.broken.values()) bytes += manifest.bytes;
    return bytes;
  }

  get count(): number {
    return this.models.size + this.broken.size + this.underWay;
  }

  get isEmpty(): boolean {
    return this.count === 0 && this.names.all.length === 0;
  }

  folderOf(contentId: string): string {
    return join(this.folder, 'models', contentId);
  }

  /** Where the tenant has a file of this content. */
  copyOf(sha256: string): string | undefined {
    for (const { manifest, folder } of this.models.values()) {
      const file = manifest.files.find((each) => each.sha256 === sha256);
      if (file !== undefined) return join(folder, 'content', file.name);
    }
    return undefined;
  }

  begins({ bytes }: Manifest): void {
    this.underWay += 1;
    this.bytesUnderWay += bytes;
  }

  ends({ bytes }: Manifest): void {
    this.underWay -= 1;
    this.bytesUnderWay -= bytes;
  }

  has(manifest: Manifest, now: number): StoredModel {
    const { contentId } = manifest;
    const known = this.models.get(contentId);
    if (known !== undefined) return known;
    const stored = new StoredModel(manifest, this.folderOf(contentId), now);
    stored.names = this.namesOf(contentId);
    this.models.set(contentId, stored);
    return stored;
  }

  /** @throws as TenantNames.add */
  async publish(
    name: string,
    version: string,
    content: NamedContent,
    replace: boolean,
  ): Promise<string> {
    const chosen = await this.names.add(name, version, content, replace);
    this.countNames();
    return chosen;
  }

  /** @throws as TenantNames.remove */
  async unpublish(name: string, version: string): Promise<void> {
    await this.names.remove(name, version);
    this.countNames();
  }

  countNames(): void {
    for (const [contentId, stored] of this.models) stored.names = this.namesOf(contentId);
  }

  /** @throws AxleError RESOURCE_EXHAUSTED for what can never fit. */
  checkFits({ bytes }: Manifest, { models, modelBytes }: TenantStoreLimits): void {
    if (bytes <= modelBytes && models > 0) return;
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `the model has ${bytes} bytes; this tenant may have ${models} models of ${modelBytes} bytes together`,
      { retryable: false },
    );
  }

  private namesOf(contentId: string): number {
    return this.names.all.filter((named) => named.contentId === contentId).length;
  }
}
