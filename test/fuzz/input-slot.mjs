/** Largest input of any target, bytes. */
export const INPUT_BYTES_MAX = 1 << 20;

const HEAD_BYTES = 8;

/** The input that a worker is at, in memory that outlives the worker: [count, bytes] as 32-bit numbers, then the input. */
export class InputSlot {
  /** @param {SharedArrayBuffer} shared of `InputSlot.bytes` */
  constructor(shared) {
    this.head = new Int32Array(shared, 0, 2);
    this.body = Buffer.from(shared, HEAD_BYTES);
  }

  static bytes = HEAD_BYTES + INPUT_BYTES_MAX;

  /** Inputs so far. */
  get count() {
    return Atomics.load(this.head, 0);
  }

  /** @param {Buffer} input */
  write(input) {
    if (input.length > INPUT_BYTES_MAX) throw new Error(`an input of ${input.length} bytes`);
    input.copy(this.body);
    Atomics.store(this.head, 1, input.length);
    Atomics.add(this.head, 0, 1);
  }

  /** @returns {Buffer} a copy */
  read() {
    return Buffer.from(this.body.subarray(0, Atomics.load(this.head, 1)));
  }
}
