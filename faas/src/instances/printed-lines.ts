import { StringDecoder } from 'node:string_decoder';

/** Of a line, with the mark of one that is cut. */
export const lineCharactersMax = 4096;
/** Of lines in a second; the rest is counted only. */
export const linesPerSecondMax = 500;
/** Characters that are looked at in a second; the rest is counted only. */
const charactersPerSecondMax = 1024 * 1024;
const secondMs = 1000;
const cutMark = '...';

/** Cuts what a function prints into lines, as many as anyone can read: one that prints without end harms nobody. */
export class PrintedLines {
  private readonly decoder = new StringDecoder('utf8');
  private rest = '';
  private isCut = false;
  private secondFrom = -Infinity;
  private lines = 0;
  private characters = 0;
  private leftOutBytes = 0;
  private timer: NodeJS.Timeout | undefined = undefined;

  /** @param now milliseconds on a clock that never goes back. */
  constructor(
    private readonly onLine: (text: string) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  push(chunk: Buffer): void {
    const now = this.now();
    if (now - this.secondFrom >= secondMs) this.beginSecond(now);
    if (this.lines >= linesPerSecondMax || this.characters >= charactersPerSecondMax) {
      this.leaveOut(chunk.byteLength);
      return;
    }
    const text = this.decoder.write(chunk);
    this.characters += text.length;
    let from = 0;
    for (;;) {
      const at = text.indexOf('\n', from);
      if (at < 0) break;
      this.add(text.slice(from, at));
      this.endLine();
      from = at + 1;
      if (this.lines < linesPerSecondMax) continue;
      this.leaveOut(text.length - from);
      return;
    }
    this.add(text.slice(from));
  }

  /** Nothing more comes. */
  end(): void {
    this.add(this.decoder.end());
    if (this.rest !== '') this.endLine();
    this.tellLeftOut();
  }

  private add(text: string): void {
    const room = lineCharactersMax - this.rest.length;
    if (text.length > room) this.isCut = true;
    if (room > 0) this.rest += text.slice(0, room);
  }

  private endLine(): void {
    const text = this.isCut ? `${this.rest.slice(0, -cutMark.length)}${cutMark}` : this.rest;
    this.rest = '';
    this.isCut = false;
    this.lines += 1;
    this.onLine(text.endsWith('\r') ? text.slice(0, -1) : text);
  }

  private beginSecond(now: number): void {
    this.secondFrom = now;
    this.lines = 0;
    this.characters = 0;
    this.tellLeftOut();
  }

  private leaveOut(bytes: number): void {
    this.leftOutBytes += bytes;
    // Also where nothing more is printed.
    this.timer ??= setTimeout(() => {
      this.beginSecond(this.now());
    }, secondMs).unref();
  }

  private tellLeftOut(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.leftOutBytes === 0) return;
    const bytes = this.leftOutBytes;
    this.leftOutBytes = 0;
    if (this.rest !== '') this.endLine();
    this.onLine(`(${bytes} bytes more were printed and are left out: too many for a second)`);
  }
}
