/** What happened so long ago counts for a third, milliseconds. */
const decayMs = 4000;
/** The part of a device's time that a model may take before one more copy of it is made. */
const busyPartMax = 0.7;
/** A copy that has not been needed for so long goes, milliseconds. */
const surplusMs = 60_000;

interface Demand {
  /** Time on devices, decayed, milliseconds. */
  busyMs: number;
  asOf: number;
  /** Since when there have been more copies than are needed; undefined: there are not. */
  surplusSince: number | undefined;
}

/**
 * How many copies of each model are needed, by the time that it took on devices of late (Little's law: time taken in a unit
 * of time is how many are at it). One more is made before those that there are have no time left.
 */
export class ModelDemand {
  private readonly models = new Map<string, Demand>();

  /** @param tookMs on a device, for one task alone */
  note(servingId: string, tookMs: number, now: number): void {
    const demand = this.at(servingId, now);
    demand.busyMs += tookMs;
  }

  /**
   * How many copies there should be, at least one.
   *
   * @param parallel tasks that a device does at a time
   */
  copies(servingId: string, parallel: number, now: number): number {
    const { busyMs } = this.at(servingId, now);
    return Math.max(1, Math.ceil(busyMs / decayMs / (busyPartMax * parallel)));
  }

  /** Whether one of so many copies may go: fewer have been enough for a while. */
  hasSurplus(servingId: string, there: number, wanted: number, now: number): boolean {
    const demand = this.at(servingId, now);
    if (there <= wanted) {
      demand.surplusSince = undefined;
      return false;
    }
    demand.surplusSince ??= now;
    if (now - demand.surplusSince < surplusMs) return false;
    demand.surplusSince = now;
    return true;
  }

  /** Of models that no device has any more nothing is kept. */
  keepOnly(servingIds: ReadonlySet<string>): void {
    for (const id of this.models.keys()) if (!servingIds.has(id)) this.models.delete(id);
  }

  private at(servingId: string, now: number): Demand {
    let demand = this.models.get(servingId);
    if (demand === undefined) {
      demand = { busyMs: 0, asOf: now, surplusSince: undefined };
      this.models.set(servingId, demand);
    }
    demand.busyMs *= Math.exp((demand.asOf - now) / decayMs);
    demand.asOf = now;
    return demand;
  }
}
