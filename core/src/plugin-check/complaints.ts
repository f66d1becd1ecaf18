import type { SubmitUnderTest } from './host-connection.js';

/** Of rules that a plugin broke, so many are named. */
const kindsMax = 10;

/**
 * Says how often rules of the ABI were broken, and which.
 *
 * @param kinds what was logged of them, each with how often: at least once for each rule.
 */
export function faultsText(count: number, kinds: ReadonlyMap<string, number>): string {
  const named = [...kinds].slice(0, kindsMax);
  const [only] = named;
  if (kinds.size === 1 && only !== undefined) {
    return count === 1 ? only[0] : `${only[0]} (${count} times)`;
  }
  const left = kinds.size - named.length;
  const more = left === 0 ? '' : `; and ${left} more`;
  return `${kinds.size} rules of plugin.h, ${count} times in all: ${named.map(([line]) => line).join('; ')}${more}`;
}

/** @param places of the tasks that were not completed, among those of the submit. */
export function lostText(
  { device, what, count }: SubmitUnderTest,
  places: readonly number[],
): string {
  const [first = 0] = places;
  const one = what === 'tasks' ? 'task' : 'write';
  if (count === 1) return `a ${one} was never completed on ${device}`;
  if (places.length === count)
    return `none of ${count} ${what} of one submit was completed on ${device}`;
  if (places.length > 1) {
    return `of ${count} ${what} of one submit ${places.length} were never completed on ${device}, the first of them the ${ordinal(first)}`;
  }
  const which = first === count - 1 ? 'the last' : `the ${ordinal(first)}`;
  return `${which} of ${count} ${what} of one submit was never completed on ${device}`;
}

/** @param place from 0. */
function ordinal(place: number): string {
  const number = place + 1;
  const last = number % 10;
  const isTeen = Math.floor(number / 10) % 10 === 1;
  const ending = isTeen ? 'th' : last === 1 ? 'st' : last === 2 ? 'nd' : last === 3 ? 'rd' : 'th';
  return `${number}${ending}`;
}
