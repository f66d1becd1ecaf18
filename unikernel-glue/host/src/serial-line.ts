import { GuestError } from './guest-error.js';

/** What a guest may print, bytes: one that prints for ever is ended. */
export const serialBytesMax = 4 * 1024 * 1024;

/** What a guest prints on its serial line, and when what the host looks for came, milliseconds after its start. */
export class SerialLine {
  firstByteMs: number | undefined = undefined;
  firstResultMs: number | undefined = undefined;
  /** It said that it came to its end. */
  isDone = false;
  /** Why it says that it failed. */
  failure: string | undefined = undefined;
  private bytes = 0;
  private rest = '';

  /** @param now milliseconds since the guest was started */
  constructor(private readonly now: () => number) {}

  /** @throws GuestError RESOURCE_EXHAUSTED when the guest has printed too much. */
  take(data: Uint8Array): void {
    const at = this.now();
    this.firstByteMs ??= at;
    this.bytes += data.byteLength;
    if (this.bytes > serialBytesMax) {
      throw new GuestError(
        'RESOURCE_EXHAUSTED',
        `the guest printed more than ${serialBytesMax} bytes`,
      );
    }
    // One byte each: no character is cut in two, and no line is looked at but for its ASCII.
    const lines = (this.rest + Buffer.from(data).toString('latin1')).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.line(line.replace(/\r$/, ''), at);
  }

  /** Lines that begin with `axle:` are about the guest itself; the first other one is its first result. */
  private line(line: string, at: number): void {
    const [, about] = /^axle: (.*)$/.exec(line) ?? [];
    if (about === undefined) {
      this.firstResultMs ??= at;
      return;
    }
    if (about === 'done') this.isDone = true;
    const [, failure] = /^failed: (.*)$/.exec(about) ?? [];
    this.failure ??= failure === undefined ? undefined : Buffer.from(failure, 'latin1').toString();
  }
}
