import type { NamedTensor } from '../backend.js';

/**
 * Makes the batch keys of one op with one model and one set of arguments: equal for tasks that may be computed
 * together, whose inputs differ in their first `free` dimensions only. Calls are mostly like the one before, so the
 * last key is kept: equal keys that are one string cost no hashing.
 */
export class BatchKeys {
  private lastKey: string;
  private readonly names: string[] = [];
  private readonly dtypes: string[] = [];
  private readonly shapes: (readonly number[])[] = [];

  constructor(
    private readonly base: string,
    private readonly free: number,
  ) {
    this.lastKey = base;
  }

  /** The key of tasks that are never put together. */
  get alone(): string {
    return this.base;
  }

  of(inputs: readonly NamedTensor[]): string {
    if (!this.isLikeLast(inputs)) this.remember(inputs);
    return this.lastKey;
  }

  private isLikeLast(inputs: readonly NamedTensor[]): boolean {
    if (inputs.length !== this.names.length) return false;
    for (let i = 0; i < inputs.length; i++) {
      const { name, tensor } = inputs[i] as NamedTensor;
      if (name !== this.names[i] || tensor.dtype !== this.dtypes[i]) return false;
      const before = this.shapes[i] as readonly number[];
      if (before.length !== tensor.shape.length) return false;
      for (let k = this.free; k < before.length; k++) {
        if (before[k] !== tensor.shape[k]) return false;
      }
    }
    return true;
  }

  private remember(inputs: readonly NamedTensor[]): void {
    this.lastKey = this.base;
    this.names.length = this.dtypes.length = this.shapes.length = 0;
    for (const { name, tensor } of inputs) {
      this.names.push(name);
      this.dtypes.push(tensor.dtype);
      this.shapes.push(tensor.shape);
      this.lastKey += ` ${name}:${tensor.dtype}[${tensor.shape.slice(this.free).join(',')}]`;
    }
  }
}
