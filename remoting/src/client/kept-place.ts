import type { TensorPlace } from '@axle/core/internal';

import type { WireClient } from './wire-client.js';

/** A handle of one connection whose tensors the server keeps until all of them are let go of. */
export class KeptHandle {
  private left: number;

  /** @param tensors how many; with none it is let go of at once */
  constructor(
    readonly client: WireClient,
    readonly id: number,
    tensors: number,
  ) {
    this.left = tensors;
    if (tensors === 0) client.send({ type: 'RELEASE', id });
  }

  releaseOne(): void {
    this.left -= 1;
    if (this.left === 0) this.client.send({ type: 'RELEASE', id: this.id });
  }
}

/** One of those tensors. */
export class KeptPlace implements TensorPlace {
  private isReleased = false;

  constructor(
    /** Name of the backend. */
    readonly backend: string,
    readonly byteLength: number,
    readonly handle: KeptHandle,
    /** Among those of the handle. */
    readonly output: number,
  ) {}

  release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    this.handle.releaseOne();
  }
}
