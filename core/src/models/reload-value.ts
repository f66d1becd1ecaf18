/** Uses past these count no more: what was much in demand once is not kept for ever. */
const usesMax = 32;
/** Loads that are quicker differ by chance, milliseconds. */
const loadMsMin = 1;

/** What it would cost to be without a model. */
export interface Valued {
  /** What its last load took, with its warm-ups; milliseconds. */
  readonly loadMs: number;
  readonly bytes: number;
  /** Since it was loaded. */
  uses: number;
  /** The higher, the later it goes. */
  value: number;
}

/**
 * Which models go first when room is made: GreedyDual-Size-Frequency (Cherkasova, "Improving WWW Proxies Performance with
 * Greedy-Dual-Size-Frequency Caching Policy", HP Labs HPL-98-69R1, 1998). A model is worth its uses times what it costs to
 * load again, for each byte that it takes, above what the last one was worth that had to go: so what is used often, small
 * or slow to load stays, and what is not used any more becomes the least of all in the end. Where models cost the same it
 * is the one that was used longest ago.
 */
export class ReloadValue {
  private inflation = 0;

  used(model: Valued): void {
    model.uses = Math.min(model.uses + 1, usesMax);
    this.assess(model);
  }

  /** To be called when it is known how large it is, and what its load took. */
  assess(model: Valued): void {
    const costMs = Math.max(loadMsMin, Math.round(model.loadMs));
    model.value = this.inflation + (model.uses * costMs) / Math.max(1, model.bytes);
  }

  /** To be called for each that had to go. */
  left({ value }: Valued): void {
    this.inflation = Math.max(this.inflation, value);
  }
}
