import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  read,
  readSync,
  write,
  writeSync,
} from 'node:fs';

import { AxleError, copiedBytes, messageOf, type Tensor } from '@axle/core/internal';

import type { SharedRoom } from '../tensors/outgoing.js';
import type { Place } from '../wire/frames.js';
import { aligned, rangeAlignment } from './ranges.js';

/** The arena that is the memory of the guest's machine (PROTOCOL.md, section 13). */
export const guestArena = 0;
/** Where the address of memory stops being its place in the file: PCs have a hole for devices from there on. */
export const guestMemoryBytesMax = 3 * 2 ** 30;
/** Up to so many bytes are copied at once, as they would be from a socket; more go through threads. */
const atOnceBytesMax = 256 * 1024;
/** In threads, how much at a time: they are everybody's. */
const pieceBytesMax = 4 * 1024 * 1024;

const { O_NONBLOCK, O_RDWR } = constants;

/** Reads into `data`, or writes it, from `position` on; calls back with how many bytes it was. */
type Move = (
  file: number,
  data: Uint8Array,
  position: number,
  done: (error: Error | null, bytes: number) => void,
) => void;

const moveIn: Move = (file, data, position, done) => {
  read(file, data, 0, data.byteLength, position, done);
};
const moveOut: Move = (file, data, position, done) => {
  write(file, data, 0, data.byteLength, position, done);
};

/**
 * The memory of a guest's machine, in the file that its monitor keeps it in. It is read and written by copy through that
 * file and never mapped: whoever has the file may cut it short at any time, and memory that is gone under a mapping would
 * end the process. Nothing of it is looked at but the copy, so that the guest can change nothing under a parser.
 */
export class GuestMemory {
  /** Copies under way, and the connection itself: the file must stay open for them. */
  private uses = 1;
  private isEnded = false;

  private constructor(
    private readonly file: number,
    /** That can be named: what the file had when it was opened. */
    readonly byteLength: number,
  ) {}

  /** @throws AxleError NOT_FOUND, PERMISSION_DENIED; FAILED_PRECONDITION for what is no memory. */
  static open(path: string): GuestMemory {
    const file = opened(path);
    try {
      const stats = fstatSync(file);
      if (stats.isFile() && stats.size > 0) {
        return new GuestMemory(file, Math.min(stats.size, guestMemoryBytesMax));
      }
      throw new AxleError('FAILED_PRECONDITION', `${path} is no file with a guest's memory`);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /** @throws AxleError OUT_OF_RANGE for what is not within the guest's memory, or starts where no range may. */
  check({ offset, bytes }: Pick<Place, 'offset' | 'bytes'>): void {
    const { byteLength } = this;
    // Not by their sum: each of the two may be as large as a number can be.
    const isInside = offset <= byteLength && bytes <= byteLength - offset;
    if (isInside && offset % rangeAlignment === 0) return;
    throw new AxleError(
      'OUT_OF_RANGE',
      `there is no range of ${bytes} bytes at ${offset} of the guest's memory; ` +
        `it has ${byteLength} bytes, and ranges start at multiples of ${rangeAlignment}`,
    );
  }

  /**
   * Fills `into` from the place on.
   *
   * @returns undefined: it is filled
   * @throws AxleError as `check`; OUT_OF_RANGE where the memory was cut short, also later.
   */
  read(offset: number, into: Uint8Array): Promise<void> | undefined {
    this.check({ offset, bytes: into.byteLength });
    copiedBytes.add(into.byteLength);
    if (into.byteLength > atOnceBytesMax) return this.move(moveIn, into, offset);
    for (let at = 0; at < into.byteLength;) {
      const bytes = readSync(this.file, into, at, into.byteLength - at, offset + at);
      if (bytes === 0) throw cutShort(offset + at);
      at += bytes;
    }
    return undefined;
  }

  /**
   * Writes what lies in the place.
   *
   * @returns undefined: it is written
   * @throws AxleError as `read`.
   */
  write(offset: number, tensor: Tensor): Promise<void> | undefined {
    const { byteLength, segments } = tensor;
    this.check({ offset, bytes: byteLength });
    this.checkSize(offset + byteLength);
    copiedBytes.add(byteLength);
    if (byteLength > atOnceBytesMax) return this.writeAll(offset, segments);
    let at = offset;
    for (const segment of segments) {
      for (let done = 0; done < segment.byteLength;) {
        const bytes = writeSync(this.file, segment, done, segment.byteLength - done, at);
        done += bytes;
        at += bytes;
      }
    }
    return undefined;
  }

  /** Where outputs of one call go. @throws AxleError as `check` */
  writer(place: Place): GuestWriter {
    this.check(place);
    return new GuestWriter(this, place);
  }

  /** The connection has ended: what is being copied stops, and then the file is closed. */
  end(): void {
    this.isEnded = true;
    this.leave();
  }

  private async writeAll(offset: number, segments: readonly Uint8Array[]): Promise<void> {
    let at = offset;
    for (const segment of segments) {
      await this.move(moveOut, segment, at);
      at += segment.byteLength;
    }
  }

  private async move(how: Move, data: Uint8Array, offset: number): Promise<void> {
    this.uses += 1;
    try {
      for (let at = 0; at < data.byteLength;) {
        if (this.isEnded) throw new AxleError('CANCELLED', 'the connection has ended');
        const piece = data.subarray(at, at + pieceBytesMax);
        if (how === moveOut) this.checkSize(offset + at + piece.byteLength);
        const bytes = await this.moved(how, piece, offset + at);
        if (bytes === 0) throw cutShort(offset + at);
        at += bytes;
      }
    } finally {
      this.leave();
    }
  }

  private moved(how: Move, data: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      how(this.file, data, position, (error, bytes) => {
        if (error === null) resolve(bytes);
        else reject(error);
      });
    });
  }

  /** A file that was cut short is not made longer. */
  private checkSize(end: number): void {
    if (end > fstatSync(this.file).size) throw cutShort(end);
  }

  private leave(): void {
    this.uses -= 1;
    if (this.uses === 0) closeSync(this.file);
  }
}

/** Sees to it that outputs of one call lie in a range of the guest's memory, one after another. */
export class GuestWriter implements SharedRoom {
  readonly arena = guestArena;
  private used = 0;
  private readonly due: { readonly offset: number; readonly tensor: Tensor }[] = [];

  constructor(
    private readonly memory: GuestMemory,
    private readonly place: Place,
  ) {}

  /** Finds room; it is written by `flush`. */
  write(tensor: Tensor): number | undefined {
    const { place, used } = this;
    if (tensor.byteLength > place.bytes - used) return undefined;
    const offset = place.offset + used;
    this.used = Math.min(place.bytes, used + aligned(tensor.byteLength));
    this.due.push({ offset, tensor });
    return offset;
  }

  /** Writes what has room. @returns undefined: it is written. @throws AxleError OUT_OF_RANGE, also later */
  flush(): Promise<void> | undefined {
    const pending: Promise<void>[] = [];
    for (const { offset, tensor } of this.due) {
      const written = this.memory.write(offset, tensor);
      if (written !== undefined) pending.push(written);
    }
    return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined);
  }
}

/** @throws AxleError OUT_OF_RANGE where the guest shares none on this connection. */
export function guestMemoryOf({
  guestMemory,
}: {
  readonly guestMemory: GuestMemory | undefined;
}): GuestMemory {
  if (guestMemory !== undefined) return guestMemory;
  throw new AxleError('OUT_OF_RANGE', "no guest's memory is shared on this connection");
}

function opened(path: string): number {
  try {
    // A pipe would be waited for.
    return openSync(path, O_RDWR | O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new AxleError(
      code === 'ENOENT' ? 'NOT_FOUND' : 'PERMISSION_DENIED',
      `cannot open the guest's memory: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function cutShort(bytes: number): AxleError {
  return new AxleError(
    'OUT_OF_RANGE',
    `the guest's memory was cut short: there is nothing at ${bytes} any more; do not truncate its file`,
  );
}
