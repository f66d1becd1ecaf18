import { median, row } from '../row.mjs';
import { cpuMax } from './loads.mjs';

/**
 * A row of pairs that were measured in turn, with how busy the machine was; one that was too busy meets nothing and misses
 * nothing.
 *
 * @param {object} measured
 * @param {string} measured.case
 * @param {string} measured.unit
 * @param {string} measured.peer
 * @param {readonly number[]} measured.values
 * @param {readonly number[]} measured.peerValues
 * @param {(value: number, peer: number) => number} measured.ratio
 * @param {number | null} measured.goal
 * @param {readonly number[]} measured.busy of each pair
 * @param {boolean} [measured.isBusyAnyway] what is measured is CPU time
 */
export function poolRow(measured) {
  const { values, peerValues, ratio, goal, busy, isBusyAnyway = false } = measured;
  const most = Math.max(...busy);
  const isVoid = most > cpuMax && !isBusyAnyway;
  const cpu = `CPU ${Math.round(100 * most)} %`;
  return row({
    ...{ bench: 'pool', unit: measured.unit, peer: measured.peer },
    case: `${measured.case} (${isVoid ? `VOID: ${cpu}` : cpu})`,
    value: median(values),
    peerValue: median(peerValues),
    ratio: median(values.map((value, i) => ratio(value, peerValues[i] ?? NaN))),
    goal: isVoid ? null : goal,
  });
}
