/**
 * One line of a bench: a figure beside its peer's, both measured in the same run.
 *
 * @typedef {object} Row
 * @property {string} bench
 * @property {string} case
 * @property {string} unit of both values
 * @property {number} value
 * @property {string} peer
 * @property {number} peerValue
 * @property {number} ratio higher is better
 * @property {number | null} goal the ratio asked for; null = for information
 * @property {boolean | null} met
 */

/**
 * Runs both in turn, `rounds` times after one warm-up (a single round has none), and compares pair by pair: these machines drift, and a ratio of
 * neighbours holds where single times do not.
 *
 * @param {object} comparison
 * @param {string} comparison.bench
 * @param {string} comparison.case
 * @param {string} comparison.unit
 * @param {string} comparison.peer
 * @param {number | null} comparison.goal
 * @param {number} comparison.rounds
 * @param {'higher' | 'lower'} comparison.better which way of the figure is good
 * @param {() => Promise<number>} comparison.run one figure of ours
 * @param {() => Promise<number>} comparison.runPeer
 * @returns {Promise<Row>}
 */
export async function compare(comparison) {
  const { run, runPeer, rounds, better } = comparison;
  // A run of minutes needs no warm-up.
  if (rounds > 1) {
    await runPeer();
    await run();
  }
  const ours = [];
  const theirs = [];
  for (let round = 0; round < rounds; round++) {
    theirs.push(await runPeer());
    ours.push(await run());
  }
  const ratios = ours.map((value, i) => {
    const peer = theirs[i] ?? NaN;
    return better === 'higher' ? value / peer : peer / value;
  });
  return row({
    ...comparison,
    value: median(ours),
    peerValue: median(theirs),
    ratio: median(ratios),
  });
}

/**
 * @param {Omit<Row, 'met'>} fields further ones are left out
 * @returns {Row}
 */
export function row({ bench, case: name, unit, value, peer, peerValue, ratio, goal }) {
  const met = goal === null ? null : ratio >= goal;
  return { bench, case: name, unit, value, peer, peerValue, ratio, goal, met };
}

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}
