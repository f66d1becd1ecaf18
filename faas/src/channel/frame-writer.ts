import type { Writable } from 'node:stream';

/** Frames smaller than this together are put into one piece: copying is cheaper than a list of them for the kernel. */
const joinedBytesMax = 64 * 1024;
/** Written and not taken yet; bodies wait above it, heads do not. */
const waitingBytesMax = 1024 * 1024;

/** Writes the frames of one turn of the event loop at once. */
export class FrameWriter {
  private frames: Buffer[] = [];
  private frameBytes = 0;
  private isOver = false;
  private readonly flush = (): void => {
    this.flushNow();
  };

  constructor(private readonly stream: Writable) {
    stream.once('close', () => {
      this.isOver = true;
      this.frames = [];
    });
  }

  write(frame: Buffer): void {
    if (this.isOver) return;
    if (this.frames.length === 0) setImmediate(this.flush);
    this.frames.push(frame);
    this.frameBytes += frame.byteLength;
    if (this.frameBytes > joinedBytesMax) this.flushNow();
  }

  /** Undefined when more can be written now. */
  room(): Promise<void> | undefined {
    const { stream } = this;
    if (this.isOver || stream.writableLength < waitingBytesMax) return undefined;
    return new Promise((resolve) => {
      const settle = (): void => {
        stream.off('drain', settle).off('close', settle);
        resolve();
      };
      stream.on('drain', settle).on('close', settle);
    });
  }

  private flushNow(): void {
    const { frames, frameBytes, stream } = this;
    if (frames.length === 0) return;
    this.frames = [];
    this.frameBytes = 0;
    if (frames.length === 1) stream.write(frames[0]);
    else stream.write(Buffer.concat(frames, frameBytes));
  }
}
