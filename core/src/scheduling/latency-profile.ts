/** What a measurement still weighs after the next one came. */
const decay = 0.92;
/** Standard deviations from the line that `atMostMs` adds. */
const deviationsOfMargin = 1;
/** A measurement counts as at most this many times what was expected: one pause of the machine says little. */
const surpriseMax = 3;
/** Below this many measurements nothing is said. */
const measurementsMin = 3;
/** Sizes are taken as all equal below this variance. */
const varianceMin = 1e-6;

/**
 * Learns how long a device takes for work of a size: time = fixed + rate * size, fitted by least squares in which old
 * measurements fade, so that it follows a device that becomes slower. Batches of neural networks follow such a line in
 * their items closely (Crankshaw et al., "Clipper", NSDI 2017; Shen et al., "Nexus", SOSP 2019), and codecs in bytes.
 */
export class LatencyProfile {
  private measurements = 0;
  private weight = 0;
  private meanSize = 0;
  private meanMs = 0;
  private sizeVariance = 0;
  private msVariance = 0;
  private covariance = 0;
  private smallest = Infinity;
  private largest = 0;

  /** Whether enough was measured for the estimates to mean something. */
  get known(): boolean {
    return this.measurements >= measurementsMin;
  }

  /** Measurements so far. */
  get count(): number {
    return this.measurements;
  }

  observe(size: number, measuredMs: number): void {
    const ms = this.known
      ? Math.min(measuredMs, surpriseMax * this.expectedMs(size) + 1)
      : measuredMs;
    this.measurements += 1;
    this.smallest = Math.min(this.smallest, size);
    this.largest = Math.max(this.largest, size);
    // Welford's update with fading weights: the newest has 1.
    const before = decay * this.weight;
    this.weight = before + 1;
    const sizeOff = size - this.meanSize;
    const msOff = ms - this.meanMs;
    this.meanSize += sizeOff / this.weight;
    this.meanMs += msOff / this.weight;
    const kept = before / this.weight;
    this.sizeVariance = kept * (this.sizeVariance + (sizeOff * sizeOff) / this.weight);
    this.msVariance = kept * (this.msVariance + (msOff * msOff) / this.weight);
    this.covariance = kept * (this.covariance + (sizeOff * msOff) / this.weight);
  }

  /** Expected time of a batch, milliseconds; 0 before the first measurement. Never falls with `size`. */
  expectedMs(size: number): number {
    if (!this.seesSizes) {
      // Only one size was seen: a smaller batch is taken to gain nothing, a larger one to cost in proportion.
      return this.meanMs * Math.max(1, size / Math.max(this.meanSize, 1));
    }
    const inProportion = this.meanMs * Math.min(1, size / this.meanSize);
    return Math.max(this.meanMs + this.msPerSize * (size - this.meanSize), inProportion);
  }

  /**
   * As `expectedMs`, but a size beyond those that were measured is taken for the nearest that was.
   *
   * @param size undefined = the average one.
   */
  expectedWithinMs(size: number | undefined): number {
    if (size === undefined) return this.meanMs;
    return this.expectedMs(Math.min(Math.max(size, this.smallest), this.largest));
  }

  /** What a batch takes at most, mostly, milliseconds. */
  atMostMs(size: number): number {
    const explained = this.seesSizes ? this.msPerSize * this.covariance : 0;
    const deviation = Math.sqrt(Math.max(0, this.msVariance - explained));
    return this.expectedMs(size) + deviationsOfMargin * deviation;
  }

  private get seesSizes(): boolean {
    return this.sizeVariance > varianceMin;
  }

  private get msPerSize(): number {
    return Math.max(0, this.covariance / this.sizeVariance);
  }
}
