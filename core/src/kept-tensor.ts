import { AxleError } from './errors.js';
import type { DataTypeName } from './generated/constants.js';
import type { Tensor } from './tensor.js';

/** What `new KeptTensor` takes from this file only. */
const ownKey = Symbol('KeptTensor');

/** The constructor, and what is beneath one, for the functions of this file. */
let newKept: (tensor: Tensor, owner: KeptTensorOwner) => KeptTensor;
let beneath: (kept: KeptTensor) => Beneath;

/** Who is told when one is let go of. */
interface KeptTensorOwner {
  released(kept: KeptTensor): void;
}

interface Beneath {
  readonly tensor: Tensor;
  readonly owner: KeptTensorOwner;
}

/**
 * A tensor that stays where the calls of its client run: on the server, or in this process. `put` makes one of a tensor,
 * `infer` and `run` with `keep` make them of outputs, and both take them for inputs: by reference, none of its bytes
 * travels again. Only calls see the bytes.
 *
 * It takes memory there until it is released, or its client is closed. It ends with the connection that it was made on, and
 * calls that name it then fail with ABORTED: make it again.
 */
export class KeptTensor<T extends DataTypeName = DataTypeName> {
  static {
    newKept = (tensor, owner) => new KeptTensor(ownKey, tensor, owner);
    beneath = (kept) => kept.beneath;
  }

  readonly dtype: T;
  /** Sizes of the dimensions, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
  /** Of the raw form. */
  readonly byteLength: number;
  private readonly beneath: Beneath;
  private hasEnded = false;

  private constructor(key: symbol, tensor: Tensor, owner: KeptTensorOwner) {
    if (key !== ownKey) {
      const message = 'a kept tensor is not made with new; put, and calls with keep, make it';
      throw new AxleError('INVALID_ARGUMENT', message);
    }
    this.dtype = tensor.dtype as T;
    this.shape = tensor.shape;
    this.byteLength = tensor.byteLength;
    this.beneath = { tensor, owner };
  }

  /** Nothing can be called with it any more. */
  get isReleased(): boolean {
    return this.hasEnded;
  }

  /** Frees its memory as soon as the calls are over that were made with it. Of no effect the second time. Also by `using`. */
  release(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.beneath.owner.released(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** For core's own use. */
export function keptTensorOf(tensor: Tensor, owner: KeptTensorOwner): KeptTensor {
  return newKept(tensor, owner);
}

/** For core's own use: the tensor beneath, whose bytes may lie elsewhere. */
export function tensorBeneath(kept: KeptTensor): Tensor {
  return beneath(kept).tensor;
}

/** Whether this owner keeps it. */
export function isKeptBy(kept: KeptTensor, owner: KeptTensorOwner): boolean {
  return beneath(kept).owner === owner;
}
