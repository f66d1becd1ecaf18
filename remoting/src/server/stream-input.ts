interface Piece {
  data: Uint8Array;
  /** Of its frame's payload: what its sender gets back for it. */
  readonly creditBytes: number;
}

/** What a client has sent of a stream and the device has not used up. Its window bounds it. */
export class StreamInput {
  private pieces: Piece[] = [];
  private size = 0;

  get bytes(): number {
    return this.size;
  }

  /** The bytes are kept as they lie. */
  add(data: Uint8Array, creditBytes: number): void {
    this.pieces.push({ data, creditBytes });
    this.size += data.byteLength;
  }

  /** What came first, in one piece of about as many bytes as that, or of all that there are. */
  first(bytes: number): Uint8Array {
    let count = 0;
    let size = 0;
    let creditBytes = 0;
    for (const piece of this.pieces) {
      if (size >= bytes) break;
      size += piece.data.byteLength;
      creditBytes += piece.creditBytes;
      count += 1;
    }
    const parts = this.pieces.slice(0, count);
    const [only] = parts;
    if (count === 1 && only !== undefined) return only.data;
    // Kept, so that what a device takes little by little is joined once.
    const data = Buffer.concat(parts.map((part) => part.data));
    this.pieces = [{ data, creditBytes }, ...this.pieces.slice(count)];
    return data;
  }

  /** The first `bytes` were used. @returns credit to be given for it */
  take(bytes: number): number {
    this.size -= bytes;
    let left = bytes;
    let credit = 0;
    let used = 0;
    for (const piece of this.pieces) {
      if (piece.data.byteLength > left) {
        piece.data = piece.data.subarray(left);
        break;
      }
      left -= piece.data.byteLength;
      credit += piece.creditBytes;
      used += 1;
    }
    this.pieces = this.pieces.slice(used);
    return credit;
  }
}
