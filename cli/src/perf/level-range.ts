import { UsageError } from '../failure.js';

/** Loads that are tried one after another. */
export interface LevelRange {
  readonly start: number;
  /** Infinity: until the latency is too long. */
  readonly end: number;
  readonly step: number;
}

export interface RangeRule {
  readonly option: string;
  /** Of each level, and of the step. */
  readonly min: number;
  readonly max: number;
  readonly isWhole: boolean;
}

/** Of one command. */
const levelsMax = 1000;

/**
 * Reads `START[:END[:STEP]]`. Without an end there is one level; an end of 0 stands for none, and the step is 1 by default.
 *
 * @throws UsageError saying what it should look like.
 */
export function parseLevelRange(text: string, rule: RangeRule): LevelRange {
  const parts = text.split(':');
  const isNumber = (part: string) =>
    (rule.isWhole ? /^\d{1,9}$/ : /^\d{1,9}(\.\d{1,9})?$/).test(part);
  if (parts.length > 3 || !parts.every(isNumber)) throw wrong(text, rule);
  const [start = NaN, end = start, step = 1] = parts.map(Number);
  const { min, max } = rule;
  const isLevel = (value: number) => value >= min && value <= max;
  if (!isLevel(start) || !(step >= min) || (end !== 0 && !isLevel(end))) throw wrong(text, rule);
  if (end === 0) return { start, end: Infinity, step };
  if (end < start) throw new UsageError(`${rule.option} ${text} ends before it starts`);
  const count = levelCount({ start, end, step });
  if (count > levelsMax) {
    throw new UsageError(
      `${rule.option} ${text} has ${count} levels; ${levelsMax} are the most, so give a larger step`,
    );
  }
  return { start, end, step };
}

function wrong(text: string, { option, min, max, isWhole }: RangeRule): UsageError {
  const numbers = isWhole ? 'whole numbers' : 'numbers';
  return new UsageError(
    `${option} takes START, START:END or START:END:STEP, ${numbers} from ${min} to ${max}, not '${text}'`,
  );
}

function levelCount({ start, end, step }: LevelRange): number {
  // Steps such as 0.1 are no exact binary numbers.
  return Math.floor((end - start) / step + 1e-9) + 1;
}

/** What one level showed. */
export type Verdict = 'met' | 'missed' | 'stop';

/** From the start up; ends with the first level that is not met. */
export async function searchUp(
  range: LevelRange,
  levelMax: number,
  measure: (level: number) => Promise<Verdict>,
): Promise<void> {
  const count = range.end === Infinity ? Infinity : levelCount(range);
  for (let n = 0; n < count; n += 1) {
    const level = range.start + n * range.step;
    if (level > levelMax || (await measure(level)) !== 'met') return;
  }
}

/** Halves the range until the largest level that is met is known to within a step. */
export async function searchByHalves(
  range: LevelRange,
  measure: (level: number) => Promise<Verdict>,
): Promise<void> {
  const at = (n: number) => measure(range.start + n * range.step);
  let missed = levelCount(range) - 1;
  let met = 0;
  if ((await at(met)) !== 'met' || missed === 0 || (await at(missed)) !== 'missed') return;
  while (missed - met > 1) {
    const middle = (met + missed) >> 1;
    const verdict = await at(middle);
    if (verdict === 'stop') return;
    if (verdict === 'met') met = middle;
    else missed = middle;
  }
}
