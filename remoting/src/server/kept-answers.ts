import type { KeptCall } from './kept-call.js';

const MiB = 1024 * 1024;
/** What is kept for the clients of one tenant: past it the oldest is forgotten, and its replay is ABORTED, outcome unknown. */
const answersMaxDefault = 16_384;
const bytesMaxDefault = 64 * MiB;

/** The answers kept for one tenant, oldest first, within bounds on count and bytes. */
export class KeptAnswers {
  private readonly kept = new Set<KeptCall>();
  private bytes = 0;

  constructor(
    private readonly answersMax: number = answersMaxDefault,
    private readonly bytesMax: number = bytesMaxDefault,
  ) {}

  get size(): number {
    return this.kept.size;
  }

  add(call: KeptCall): void {
    this.kept.add(call);
    this.bytes += call.bytes;
    for (const oldest of this.kept) {
      if (this.kept.size <= this.answersMax && this.bytes <= this.bytesMax) return;
      oldest.forget();
    }
  }

  remove(call: KeptCall): void {
    if (this.kept.delete(call)) this.bytes -= call.bytes;
  }
}
