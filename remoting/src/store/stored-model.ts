import type { Manifest } from './manifest.js';

/** A model that a tenant has in the store. */
export class StoredModel {
  /** Connections that hold it. */
  pins = 0;
  /** Names that it has. */
  names = 0;

  constructor(
    readonly manifest: Manifest,
    /** Holds its `content`. */
    readonly folder: string,
    /** Milliseconds since 1970. */
    public usedAt: number,
  ) {}

  get isGarbage(): boolean {
    return this.pins === 0 && this.names === 0;
  }
}

/** An upload that broke off: what came of it counts when the model is sent again. */
export interface BrokenUpload {
  readonly manifest: Manifest;
  readonly folder: string;
  readonly usedAt: number;
}
