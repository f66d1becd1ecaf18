/**
 * Counts what is copied between memory that this process shares with another one and memory of its own: bytes of tensors,
 * exact. Ops that read and write shared memory where it lies add nothing.
 */
class CopiedBytes {
  private copied = 0;

  get total(): number {
    return this.copied;
  }

  add(bytes: number): void {
    this.copied += bytes;
  }
}

/** Of this process (and copy of this module in it). */
export const copiedBytes = new CopiedBytes();
