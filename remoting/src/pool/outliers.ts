/** A place is slow that takes so many times as long as the others do in the middle, */
const slowFactor = 5;
/** and at least so much longer, milliseconds: what is quick anyway may vary. */
const slowMarginMs = 10;
/** How long one is left alone at first; twice as long whenever it is found no better, up to the most; milliseconds. */
const ejectMs = 2000;
const ejectMsMax = 60_000;
/** Of all places, the part that may be left alone at a time: what is slow everywhere is nobody's fault. */
const ejectedPartMax = 0.5;

/** A place that so many times in a row was late, and was overtaken by another, is slow too. */
const lostRacesMax = 3;

interface Ejection {
  readonly why: string;
  readonly forMs: number;
  readonly untilAt: number;
  /** Its time is over, and it is measured anew. */
  isOnTrial: boolean;
}

/** What places took on average for the same kind of task, milliseconds. */
export type Averages<Place> = ReadonlyMap<Place, number>;

/**
 * Finds places that work, and are far slower than the others ("gray" failures: Huang et al., "Gray Failure", HotOS 2017):
 * they are left alone for a while, and are then given one task at a time until it is known how they are.
 */
export class Outliers<Place> {
  private readonly ejected = new Map<Place, Ejection>();
  /** In a row. */
  private readonly lostRaces = new Map<Place, number>();
  private count = 0;

  /** @param clock milliseconds. */
  constructor(private readonly clock: () => number) {}

  /** How often a place was left alone so far. */
  get ejections(): number {
    return this.count;
  }

  /** Why a place is left alone; undefined: it is not. */
  reason(place: Place): string | undefined {
    return this.ejected.get(place)?.why;
  }

  /** @param inFlight tasks that the place has now */
  allows(place: Place, inFlight: number): boolean {
    const ejection = this.ejected.get(place);
    if (ejection === undefined) return true;
    return this.clock() >= ejection.untilAt && inFlight === 0;
  }

  /**
   * To be told when a task goes there.
   *
   * @returns whether what is known of it is to be forgotten: it is on trial from now on.
   */
  entering(place: Place): boolean {
    const ejection = this.ejected.get(place);
    if (ejection === undefined || ejection.isOnTrial || this.clock() < ejection.untilAt)
      return false;
    ejection.isOnTrial = true;
    return true;
  }

  /** To be told of each task that the place finished. */
  finished(place: Place): void {
    if (this.lostRaces.size > 0) this.lostRaces.delete(place);
  }

  /** To be told of each that it was late with, and another place finished: how long it would have taken nobody knows. */
  overtaken(place: Place, placesCount: number): void {
    const ejection = this.ejected.get(place);
    const lost = (this.lostRaces.get(place) ?? 0) + 1;
    this.lostRaces.set(place, lost);
    if (ejection?.isOnTrial !== true && (ejection !== undefined || lost < lostRacesMax)) return;
    this.lostRaces.delete(place);
    this.eject(place, `it was late and overtaken by others ${lost} times in a row`, placesCount);
  }

  /** @param averages of places where enough tasks ran to judge */
  judge(place: Place, averages: Averages<Place>, placesCount: number): void {
    const own = averages.get(place);
    if (own === undefined) return;
    const ejection = this.ejected.get(place);
    // Tasks that were under way when it was ejected say nothing new.
    if (ejection !== undefined && !ejection.isOnTrial) return;
    const others = [...averages].filter(([other]) => other !== place).map(([, ms]) => ms);
    if (others.length === 0) return;
    const middleMs = medianOf(others);
    if (own > slowFactor * middleMs && own > middleMs + slowMarginMs) {
      const why = `it takes ${own.toFixed(0)} ms where others take ${middleMs.toFixed(1)}`;
      this.eject(place, why, placesCount);
    } else this.ejected.delete(place);
  }

  /** @returns whether it is left alone now: not where too many are already. */
  eject(place: Place, why: string, placesCount: number): boolean {
    const before = this.ejected.get(place);
    if (before === undefined && this.ejected.size + 1 > placesCount * ejectedPartMax) return false;
    const forMs = before === undefined ? ejectMs : Math.min(2 * before.forMs, ejectMsMax);
    this.ejected.set(place, { why, forMs, untilAt: this.clock() + forMs, isOnTrial: false });
    this.count += 1;
    return true;
  }

  forget(place: Place): void {
    this.ejected.delete(place);
    this.lostRaces.delete(place);
  }
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
