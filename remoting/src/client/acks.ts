import type { HandleTable } from '../handle-table.js';

/** Answers that a server keeps for this client are acknowledged together, after so many or so many bytes of them. */
const answersMax = 64;
const bytesMax = 1024 * 1024;

/** Says when a server may forget answers that it keeps, which it does for ops that are neither PURE nor IDEMPOTENT. */
export class Acks {
  private answers = 0;
  private bytes = 0;
  private highest = 0;

  constructor(
    private readonly pending: HandleTable<unknown>,
    private readonly send: (id: number) => void,
  ) {}

  /** The whole answer of a handle came. */
  answered(id: number, bytes: number): void {
    this.answers += 1;
    this.bytes += bytes;
    this.highest = Math.max(this.highest, id);
    if (this.answers < answersMax && this.bytes < bytesMax) return;
    this.answers = 0;
    this.bytes = 0;
    const last = Math.min(this.highest, this.pending.lowest - 1);
    if (last > 0) this.send(last);
  }
}
