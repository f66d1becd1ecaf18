import { argumentError } from './argument-error.js';
import { copiedBytes } from './copied-bytes.js';
import type { Cancellation } from './cancellation.js';
import type { NamedInputs } from './client.js';
import { AxleError } from './errors.js';
import { isKeptBy, KeptTensor, keptTensorOf, tensorBeneath } from './kept-tensor.js';
import type { Limits } from './limits.js';
import type { Registry } from './registry.js';
import { setOwn } from './set-own.js';
import { adoptTensor, releaseTensor, type Tensor } from './tensor.js';

/** One that a client keeps. */
interface Entry {
  /** Calls that were made with it and are not over. */
  uses: number;
}

/** The tensors that one client keeps, within its limits. */
export class KeptTensors {
  private readonly entries = new Map<KeptTensor, Entry>();
  private bytes = 0;

  constructor(private readonly limits: Limits) {}

  /** @throws AxleError RESOURCE_EXHAUSTED */
  private checkRoom(count: number, bytes: number): void {
    const { keptTensorsMax, keptBytesMax } = this.limits;
    if (this.entries.size + count > keptTensorsMax) {
      throw pastLimit(
        `this client keeps ${this.entries.size} tensors, and at most`,
        keptTensorsMax,
      );
    }
    if (this.bytes + bytes <= keptBytesMax) return;
    throw pastLimit(`${bytes} bytes more than the ${this.bytes} kept are past`, keptBytesMax);
  }

  /**
   * The same result, its outputs kept.
   *
   * @throws AxleError RESOURCE_EXHAUSTED; none of them is kept then
   */
  keepOutputs<R extends { readonly outputs: Readonly<Record<string, Tensor>> }>(
    result: R,
  ): Omit<R, 'outputs'> & { readonly outputs: Readonly<Record<string, KeptTensor>> } {
    const outputs: Record<string, KeptTensor> = {};
    const named = Object.entries(result.outputs);
    this.checkRoom(
      named.length,
      named.reduce((sum, [, { byteLength }]) => sum + byteLength, 0),
    );
    for (const [name, tensor] of named) setOwn(outputs, name, this.add(tensor));
    return { ...result, outputs };
  }

  private add(tensor: Tensor): KeptTensor {
    const kept = keptTensorOf(tensor, this);
    this.entries.set(kept, { uses: 0 });
    this.bytes += kept.byteLength;
    return kept;
  }

  /**
   * Keeps a copy where the calls of a runtime run: there, or in this process.
   *
   * @throws AxleError RESOURCE_EXHAUSTED, and as the backend says; the reason of `cancellation`.
   */
  async put(registry: Registry, tensor: Tensor, cancellation: Cancellation): Promise<KeptTensor> {
    const { byteLength } = tensor;
    this.checkRoom(1, byteLength);
    const there = await keepTensor(registry, tensor, cancellation);
    try {
      cancellation.check();
      // Others were kept meanwhile.
      this.checkRoom(1, byteLength);
    } catch (error) {
      releaseTensor(there);
      throw error;
    }
    return this.add(there);
  }

  /**
   * Those among the inputs of a call, which are there until `end` is called; undefined: there are none.
   *
   * @throws AxleError FAILED_PRECONDITION for one that is released or another client's.
   */
  use(inputs: NamedInputs): (() => void) | undefined {
    let used: KeptTensor[] | undefined;
    for (const name in inputs) {
      const input: unknown = inputs[name];
      if (!(input instanceof KeptTensor)) continue;
      const kept = input as KeptTensor;
      this.checkUsable(kept, name);
      (used ??= []).push(kept);
    }
    if (used === undefined) return undefined;
    for (const kept of used) (this.entries.get(kept) as Entry).uses += 1;
    return () => {
      for (const kept of used) this.unuse(kept);
    };
  }

  released(kept: KeptTensor): void {
    if (this.entries.get(kept)?.uses === 0) this.free(kept);
  }

  /** The client is closed. */
  releaseAll(): void {
    for (const kept of [...this.entries.keys()]) {
      kept.release();
      this.free(kept);
    }
  }

  private checkUsable(kept: KeptTensor, name: string): void {
    if (!isKeptBy(kept, this)) {
      const message = `the tensor given as '${name}' is kept for another client; put it for this one`;
      throw new AxleError('FAILED_PRECONDITION', message);
    }
    if (kept.isReleased) {
      const message = `the tensor given as '${name}' was released; put it again`;
      throw new AxleError('FAILED_PRECONDITION', message);
    }
  }

  private unuse(kept: KeptTensor): void {
    const entry = this.entries.get(kept);
    if (entry === undefined) return;
    entry.uses -= 1;
    if (kept.isReleased && entry.uses === 0) this.free(kept);
  }

  private free(kept: KeptTensor): void {
    if (!this.entries.delete(kept)) return;
    this.bytes -= kept.byteLength;
    releaseTensor(tensorBeneath(kept));
  }
}

async function keepTensor(
  registry: Registry,
  tensor: Tensor,
  cancellation: Cancellation,
): Promise<Tensor> {
  const [only, ...others] = registry.all;
  // Of several backends any may run the call that names it.
  if (only?.keep !== undefined && others.length === 0) return only.keep(tensor, cancellation);
  const copy = new Uint8Array(tensor.byteLength);
  let at = 0;
  for (const segment of tensor.segments) {
    copy.set(segment, at);
    at += segment.byteLength;
  }
  copiedBytes.add(copy.byteLength);
  return adoptTensor(tensor.dtype, [copy], tensor.shape);
}

/** Callers in plain JavaScript have no types to tell them. @throws AxleError INVALID_ARGUMENT */
export function checkKeep({
  keep,
  into,
}: {
  readonly keep?: unknown;
  readonly into?: unknown;
}): void {
  if (keep === undefined) return;
  if (typeof keep !== 'boolean') throw argumentError('keep', keep, 'true or false');
  if (!keep || into === undefined) return;
  const message = "outputs go to the memory of 'into', or stay with 'keep'; give one of the two";
  throw new AxleError('INVALID_ARGUMENT', message);
}

function pastLimit(what: string, limit: number): AxleError {
  const message = `${what} the limit of ${limit}; release some`;
  return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
}
