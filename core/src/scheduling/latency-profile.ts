/** What a measurement still weighs after the next one came. */
const decay = 0.97;
/** Standard deviations from the line that `atMostMs` adds: covers nearly all batches. */
const deviationsOfMargin = 2;
/** Below this many measurements nothing is said. */
const measurementsMin = 3;
/** Sizes are taken as all equal below this variance. */
const varianceMin = 1e-6;

/**
 * Learns how long a device takes for a batch, by its size: time = fixed + perItem * items, fitted by least squares in
 * which old measurements fade, so that it follows a device that becomes slower. Batches of neural networks follow such
 * a line closely (Crankshaw et al., "Clipper", NSDI 2017; Shen et al., "Nexus", SOSP 2019).
 */
export class LatencyProfile {
  private measurements = 0;
  private weight = 0;
  private meanItems = 0;
  private meanMs = 0;
  private itemsVariance = 0;
  private msVariance = 0;
  private covariance = 0;

  /** Whether enough was measured for the estimates to mean something. */
  get known(): boolean {
    return this.measurements >= measurementsMin;
  }

  observe(items: number, ms: number): void {
    this.measurements += 1;
    // Welford's update with fading weights: the newest has 1.
    const before = decay * this.weight;
    this.weight = before + 1;
    const itemsOff = items - this.meanItems;
    const msOff = ms - this.meanMs;
    this.meanItems += itemsOff / this.weight;
    this.meanMs += msOff / this.weight;
    const fade = (moment: number, off: number) =>
      (before * (moment + off / this.weight)) / this.weight;
    this.itemsVariance = fade(this.itemsVariance, itemsOff * itemsOff);
    this.msVariance = fade(this.msVariance, msOff * msOff);
    this.covariance = fade(this.covariance, itemsOff * msOff);
  }

  /** Expected time of a batch, milliseconds; 0 before the first measurement. Never falls with `items`. */
  expectedMs(items: number): number {
    if (!this.seesSizes) {
      // Only one size was seen: a smaller batch is taken to gain nothing, a larger one to cost in proportion.
      return this.meanMs * Math.max(1, items / Math.max(this.meanItems, 1));
    }
    return Math.max(this.meanMs + this.msPerItem * (items - this.meanItems), 0);
  }

  /** What a batch takes at most, nearly always, milliseconds. */
  atMostMs(items: number): number {
    const explained = this.seesSizes ? this.msPerItem * this.covariance : 0;
    const deviation = Math.sqrt(Math.max(0, this.msVariance - explained));
    return this.expectedMs(items) + deviationsOfMargin * deviation;
  }

  private get seesSizes(): boolean {
    return this.itemsVariance > varianceMin;
  }

  private get msPerItem(): number {
    return Math.max(0, this.covariance / this.itemsVariance);
  }
}
