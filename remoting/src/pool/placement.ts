/** What is known of the places that a task may go to. */
export interface PlacementView<Place> {
  /** Whether the task may go there now. */
  readonly allows: (place: Place) => boolean;
  /** How long the task is expected to take there, with its wait and without the load of its model, milliseconds. */
  readonly finishMs: (place: Place) => number;
  /** What it has to do, as a part of what it can do at once: it decides between places that are about as quick. */
  readonly load: (place: Place) => number;
  /** Of a place that does not have the task's model: whether its memory holds it beside what is there. */
  readonly fits: (place: Place) => boolean;
  /** Bytes that are left there; Infinity where that is not known. */
  readonly freeBytes: (place: Place) => number;
  /** How long the load of the model takes, milliseconds. */
  readonly loadMs: number;
  /** The machine that a place is on: copies of a model are kept apart. */
  readonly host: (place: Place) => string;
  readonly fit: ModelFit;
  /** From 0 up to 1. */
  readonly random: () => number;
}

/**
 * Where a model goes that is nowhere yet, among places that are equally quick: `best`, where it leaves the least memory, so
 * that large ones find room elsewhere; `worst`, where it leaves the most, so that each has room to grow.
 */
export type ModelFit = 'best' | 'worst';

/** Of the choices, the part that goes to the worse of two. */
const exploredPart = 1 / 64;
/** Times that differ by less than this part, and a millisecond, are about the same. */
const sameFactor = 1.25;
const sameMs = 1;
/** Places that are looked at for a model that is nowhere yet. */
const fitsLookedAtMax = 64;
/** The same for one that is somewhere: another place for it is as good as any, if it is quick. */
const spareLookedAtMax = 4;

/**
 * The better of two places that are drawn at random: nearly as good as the best of all, and it does not send everybody
 * to the same one while what is known of it is old (Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing", IEEE TPDS 2001).
 *
 * @returns undefined: none is allowed.
 */
export function betterOfTwo<Place>(
  places: readonly Place[],
  {
    allows,
    finishMs,
    load,
    random,
  }: Pick<PlacementView<Place>, 'allows' | 'finishMs' | 'load' | 'random'>,
): Place | undefined {
  const first = allowedFrom(places, Math.floor(random() * places.length), allows, undefined);
  if (first === undefined) return undefined;
  const second = allowedFrom(places, Math.floor(random() * places.length), allows, first);
  if (second === undefined) return first;
  const isSecond = isBetter(second, first, { finishMs, load });
  const [better, worse] = isSecond ? [second, first] : [first, second];
  // What is known of a place that is passed over becomes old.
  return random() < exploredPart ? worse : better;
}

/**
 * Where a task goes that runs a model: to a place that has it, unless another would be done sooner although it has to load
 * it first, which is how a model that is much in demand spreads.
 *
 * @param having places that have the model; they are also among `places`
 * @returns undefined: none is allowed.
 */
export function placeWithModel<Place>(
  places: readonly Place[],
  having: ReadonlySet<Place>,
  view: PlacementView<Place>,
): Place | undefined {
  const there = betterOfTwo([...having], view);
  // Nowhere else it can be sooner, with the load of it.
  if (there !== undefined && view.finishMs(there) <= view.loadMs) return there;
  const isNew = (place: Place) => !having.has(place) && view.allows(place);
  const most = there === undefined ? fitsLookedAtMax : spareLookedAtMax;
  const fresh = placeApart(places, having, { ...view, allows: isNew }, most);
  if (there === undefined) return fresh;
  if (fresh === undefined || !view.fits(fresh)) return there;
  return view.finishMs(fresh) + view.loadMs < view.finishMs(there) ? fresh : there;
}

/**
 * Where one more copy of a model is loaded: on a machine that has none, as long as there is one, so that the loss of a
 * machine leaves a copy.
 *
 * @param having places that have the model
 * @returns undefined: none is allowed.
 */
export function placeApart<Place>(
  places: readonly Place[],
  having: ReadonlySet<Place>,
  view: PlacementView<Place>,
  lookedAtMax = fitsLookedAtMax,
): Place | undefined {
  const { allows, host } = view;
  if (having.size > 0) {
    const hosts = new Set([...having].map(host));
    const isApart = (place: Place) => allows(place) && !hosts.has(host(place));
    const apart = placeForModel(places, { ...view, allows: isApart }, lookedAtMax);
    if (apart !== undefined) return apart;
  }
  return placeForModel(places, view, lookedAtMax);
}

/**
 * Where a model is loaded: where it fits, soon, and by `fit`. Where it fits nowhere, the place that is done soonest has to
 * evict what it can.
 */
export function placeForModel<Place>(
  places: readonly Place[],
  view: PlacementView<Place>,
  lookedAtMax = fitsLookedAtMax,
): Place | undefined {
  const { finishMs, freeBytes, fits, fit, loadMs } = view;
  const drawn = sample(places, view, lookedAtMax);
  if (drawn.length === 0) return undefined;
  const fitting = drawn.filter(fits);
  const candidates = fitting.length > 0 ? fitting : drawn;
  const soonest = Math.min(...candidates.map(finishMs));
  // To wait for less than the load takes is no reason to choose another.
  const quick = candidates.filter((place) => finishMs(place) <= soonest + loadMs);
  const sign = fit === 'best' ? 1 : -1;
  const order = (a: Place, b: Place) => {
    const [left, right] = [freeBytes(a), freeBytes(b)];
    return left === right ? finishMs(a) - finishMs(b) : sign * (left < right ? -1 : 1);
  };
  return fitting.length > 0
    ? quick.sort(order)[0]
    : quick.sort((a, b) => finishMs(a) - finishMs(b))[0];
}

function isBetter<Place>(
  place: Place,
  other: Place,
  { finishMs, load }: Pick<PlacementView<Place>, 'finishMs' | 'load'>,
): boolean {
  const [ms, otherMs] = [finishMs(place), finishMs(other)];
  if (ms * sameFactor + sameMs < otherMs) return true;
  return otherMs * sameFactor + sameMs >= ms && load(place) < load(other);
}

/** Places that are allowed, from a random one on. */
function sample<Place>(
  places: readonly Place[],
  { allows, random }: PlacementView<Place>,
  lookedAtMax: number,
) {
  const start = Math.floor(random() * places.length);
  const drawn: Place[] = [];
  for (let i = 0; i < places.length && drawn.length < lookedAtMax; i++) {
    const place = places[(start + i) % places.length] as Place;
    if (allows(place)) drawn.push(place);
  }
  return drawn;
}

function allowedFrom<Place>(
  places: readonly Place[],
  start: number,
  allows: (place: Place) => boolean,
  other: Place | undefined,
): Place | undefined {
  for (let i = 0; i < places.length; i++) {
    const place = places[(start + i) % places.length] as Place;
    if (place !== other && allows(place)) return place;
  }
  return undefined;
}
