import { appendFile, rename, stat } from 'node:fs/promises';

import { messageOf } from '@axle/core/internal';

const MiB = 1024 * 1024;
/** Where whoever opens it says nothing else. */
export const rotatingBytesMax = 64 * MiB;
export const rotatingFilesMax = 8;
/** Lines that wait for the disk; past it the oldest go, and are counted. */
const waitingMax = 10_000;
const privateMode = 0o600;

export interface RotatingFileOptions {
  readonly path: string;
  /** Of one file. */
  readonly bytesMax?: number;
  /** Of the name itself and `.1` (the last before it) and so on. */
  readonly filesMax?: number;
  /** Told when the disk refuses lines, and when it takes them again. */
  readonly onTrouble: (what: string) => void;
}

/**
 * Lines that are only ever added, in a file that is put aside when it is full: what they take on the disk is bounded. Lines
 * that the disk does not take wait, as many as there is room for.
 */
export class RotatingFile {
  private waiting: string[] = [];
  private lost = 0;
  private writing: Promise<void> | undefined;
  private bytes: number | undefined;
  private isRefused = false;

  constructor(private readonly options: RotatingFileOptions) {}

  add(line: string): void {
    this.waiting.push(line);
    if (this.waiting.length > waitingMax) {
      this.waiting.shift();
      this.lost += 1;
    }
    if (!this.isRefused) this.writeSoon();
  }

  /** Settles when all that was added is on the disk, or the disk has refused it. */
  async flush(): Promise<void> {
    this.writeSoon();
    await this.writing;
  }

  private writeSoon(): void {
    this.writing ??= this.write().finally(() => {
      this.writing = undefined;
    });
  }

  private async write(): Promise<void> {
    // Those of the same turn go together.
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const lines = this.waiting;
      this.waiting = [];
      try {
        await this.append(`${lines.join('\n')}\n`);
        this.noteTaken();
      } catch (error) {
        this.waiting = [...lines, ...this.waiting].slice(-waitingMax);
        this.noteRefused(error);
        return;
      }
    }
  }

  private async append(text: string): Promise<void> {
    const { path, bytesMax = rotatingBytesMax } = this.options;
    const bytes = Buffer.byteLength(text);
    this.bytes ??= await sizeOf(path);
    if (this.bytes > 0 && this.bytes + bytes > bytesMax) {
      await this.rotate();
      this.bytes = 0;
    }
    await appendFile(path, text, { mode: privateMode });
    this.bytes += bytes;
  }

  private async rotate(): Promise<void> {
    const { path, filesMax = rotatingFilesMax } = this.options;
    for (let i = filesMax - 1; i > 0; i--) {
      await rename(i === 1 ? path : `${path}.${i - 1}`, `${path}.${i}`).catch(ignoreMissing);
    }
  }

  private noteTaken(): void {
    if (!this.isRefused) return;
    this.isRefused = false;
    const lost = this.lost === 0 ? '' : `; ${this.lost} lines were lost`;
    this.lost = 0;
    this.options.onTrouble(`${this.options.path} is written again${lost}`);
  }

  /** It is tried again with `flush`. */
  private noteRefused(error: unknown): void {
    // A part of it may be there.
    this.bytes = undefined;
    if (this.isRefused) return;
    this.isRefused = true;
    this.options.onTrouble(`${this.options.path} cannot be written: ${messageOf(error)}`);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    ignoreMissing(error);
    return 0;
  }
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
