import { markAsUntransferable } from 'node:worker_threads';

import {
  completionField,
  numbersPerCompletion,
  type NativeOutput,
  type OutputMaker,
} from './native-binding.js';

/** As many as the addon hands over at once. */
const completionsMax = 1024;

/** Room for the numbers of one task at its limits: 256 outputs of rank 16, 16384 chunks. */
const shapesMax = 40_960;

/** Outputs below 16 KiB go through here, as many in one turn as fit. */
const bytesMax = 256 * 1024;

/** Outputs up to this size share an ArrayBuffer with others, as Node's small Buffers do. */
const sharedBytesMax = 2048;
/** One such ArrayBuffer. A single output that lives on keeps this much. */
const slabBytes = 8192;
/** Up to here a loop over words copies faster than making a view to copy from. */
const loopBytesMax = 64;
const wordBytes = Int32Array.BYTES_PER_ELEMENT;
/** So that every type of element lies aligned; the addon places outputs alike (`kScratchAlignment`). */
const alignment = 8;

/** What the addon writes completions into. The layout stands in `core/native/src/completions.h`. */
export class CompletionArrays {
  readonly numbers = new Float64Array(completionsMax * numbersPerCompletion);
  readonly shapes = new Float64Array(shapesMax);
  readonly bytes = new Uint8Array(bytesMax);
}

/**
 * Makes objects of what the addon writes into three typed arrays, which costs a fraction of making them in native
 * code.
 */
export class CompletionReader<O> {
  private readonly numbers: Float64Array;
  private readonly shapes: Float64Array;
  private readonly bytes: Uint8Array;

  /** `bytes` too. */
  private readonly words: Int32Array;

  private slab = newSlab();
  private slabWords = new Int32Array(this.slab);
  private slabUsed = 0;
  private values: readonly unknown[] = [];
  private shape = 0;
  private value = 0;

  constructor(
    { numbers, shapes, bytes }: CompletionArrays,
    private readonly make: OutputMaker<O>,
  ) {
    this.numbers = numbers;
    this.shapes = shapes;
    this.bytes = bytes;
    this.words = new Int32Array(bytes.buffer);
  }

  /** The payloads of `count` completions, in their order. */
  read(count: number, values: readonly unknown[]): (readonly O[] | string)[] {
    this.values = values;
    this.shape = 0;
    this.value = 0;
    const payloads: (readonly O[] | string)[] = [];
    for (let i = 0; i < count; i++) {
      const status = this.numbers[i * numbersPerCompletion + completionField.status];
      payloads.push(status === 0 ? this.readOutputs() : (this.nextValue() as string));
    }
    this.values = noValues;
    return payloads;
  }

  private readOutputs(): readonly O[] {
    const count = this.nextNumber();
    // Pushing onto an empty array makes room for 17.
    if (count === 1) return [this.readOutput(0)];
    const outputs: O[] = [];
    for (let i = 0; i < count; i++) outputs.push(this.readOutput(i));
    return outputs;
  }

  private readOutput(place: number): O {
    const index = this.nextNumber();
    const dtype = this.nextNumber();
    const isNamed = this.nextNumber() === 1;
    const chunks = this.nextNumber();
    const rank = this.nextNumber();
    const dims = this.readDims(rank);
    const name = isNamed ? (this.nextValue() as string) : '';
    const data = chunks === 1 ? [this.readChunk()] : this.readChunks(chunks);
    return this.make(place, index, name, dtype, dims, data);
  }

  private readDims(rank: number): number[] {
    if (rank === 1) return [this.nextNumber()];
    if (rank === 2) return [this.nextNumber(), this.nextNumber()];
    const dims: number[] = [];
    for (let i = 0; i < rank; i++) dims.push(this.nextNumber());
    return dims;
  }

  private readChunks(count: number): readonly Uint8Array[] {
    const chunks: Uint8Array[] = [];
    for (let i = 0; i < count; i++) chunks.push(this.readChunk());
    return chunks;
  }

  private readChunk(): Uint8Array {
    const bytes = this.nextNumber();
    const offset = this.nextNumber();
    return offset < 0 ? (this.nextValue() as Uint8Array) : this.copyOf(offset, bytes);
  }

  /** The next turn of the event loop writes over `bytes`. */
  private copyOf(offset: number, bytes: number): Uint8Array {
    if (bytes > sharedBytesMax) return this.bytes.slice(offset, offset + bytes);
    // A user can still detach it, with ArrayBuffer.prototype.transfer.
    if (this.slabUsed + bytes > slabBytes || this.slab.byteLength === 0) {
      this.slab = newSlab();
      this.slabWords = new Int32Array(this.slab);
      this.slabUsed = 0;
    }
    const copy = new Uint8Array(this.slab, this.slabUsed, bytes);
    if (bytes > loopBytesMax) copy.set(this.bytes.subarray(offset, offset + bytes));
    else this.copyWords(offset, this.slabUsed, bytes);
    this.slabUsed += Math.ceil(bytes / alignment) * alignment;
    return copy;
  }

  /** Whole words: what lies behind `bytes` is nobody's. */
  private copyWords(from: number, to: number, bytes: number): void {
    const { words, slabWords } = this;
    const first = from / wordBytes;
    const at = to / wordBytes;
    const count = Math.ceil(bytes / wordBytes);
    for (let i = 0; i < count; i++) slabWords[at + i] = words[first + i] as number;
  }

  private nextNumber(): number {
    return this.shapes[this.shape++] as number;
  }

  private nextValue(): unknown {
    return this.values[this.value++];
  }
}

/** One chunk is the whole output. */
export function makeNativeOutput(
  _place: number,
  index: number,
  name: string,
  dtype: number,
  dims: readonly number[],
  chunks: readonly Uint8Array[],
): NativeOutput {
  const [first] = chunks;
  const data = chunks.length === 1 && first !== undefined ? first : chunks;
  return { index, name, dtype, dims, data };
}

const noValues: readonly unknown[] = [];

/** Transferring one output's memory would take that of others away. */
function newSlab(): ArrayBuffer {
  const slab = new ArrayBuffer(slabBytes);
  markAsUntransferable(slab);
  return slab;
}
