import { wireLimits } from '../generated/wire.js';
import { WireError } from '../wire/wire-error.js';

/** What may be sent before the other side gives more credit, bytes. */
export class SendWindow {
  constructor(private bytes: number) {}

  get left(): number {
    return this.bytes;
  }

  take(bytes: number): void {
    this.bytes -= bytes;
  }

  /** @throws WireError CREDIT_OVERFLOW past `windowMax`. */
  add(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes > wireLimits.windowMax) throw new WireError('CREDIT_OVERFLOW', 'CREDIT');
  }
}

/** What the other side may send before it gets more credit, bytes. */
export class ReceiveWindow {
  private left: number;
  private due = 0;

  constructor(private readonly size: number) {
    this.left = size;
  }

  /** @throws WireError CREDIT_EXCEEDED when it was not to be sent. */
  take(bytes: number, what: string): void {
    this.left -= bytes;
    if (this.left < 0) throw new WireError('CREDIT_EXCEEDED', what);
  }

  /** What was taken has been used. @returns the credit to give now: half a window at a time, else 0 */
  used(bytes: number): number {
    this.due += bytes;
    if (this.due * 2 < this.size) return 0;
    const credit = this.due;
    this.due = 0;
    this.left += credit;
    return credit;
  }
}
