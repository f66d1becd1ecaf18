// What GCC says of a translation unit's calls (-fcallgraph-info=su): how much stack each function takes, and which it calls.

/**
 * @typedef {object} CallGraph
 * @property {ReadonlyMap<string, number>} stackBytes of each function that is defined
 * @property {ReadonlyMap<string, ReadonlySet<string>>} calls
 */

const NODE = /node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes \(static\)/;
const EDGE = /edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"/;

/**
 * @param {string} text of a .ci file
 * @returns {CallGraph}
 */
export function readCallGraph(text) {
  /** @type {Map<string, number>} */
  const stackBytes = new Map();
  /** @type {Map<string, Set<string>>} */
  const calls = new Map();
  for (const line of text.split('\n')) {
    const [, name, bytes] = NODE.exec(line) ?? [];
    if (name !== undefined) stackBytes.set(name, Number(bytes));
    const [, from, to] = EDGE.exec(line) ?? [];
    if (from === undefined || to === undefined) continue;
    const known = calls.get(from) ?? new Set();
    calls.set(from, known.add(to));
  }
  return { stackBytes, calls };
}

/**
 * The longest way down from any function, by bytes of stack. What is called by a pointer is someone else's.
 *
 * @param {CallGraph} graph
 * @returns {{ bytes: number, way: readonly string[] }}
 * @throws {Error} when a function can come to itself again
 */
export function deepestWay({ stackBytes, calls }) {
  /** @type {Map<string, { bytes: number, way: readonly string[] }>} */
  const known = new Map();
  /**
   * @param {string} name
   * @param {readonly string[]} above
   * @returns {{ bytes: number, way: readonly string[] }}
   */
  function below(name, above) {
    if (above.includes(name)) throw new Error(`recursion: ${[...above, name].join(' > ')}`);
    const found = known.get(name);
    if (found !== undefined) return found;
    let deepest = { bytes: 0, way: /** @type {readonly string[]} */ ([]) };
    for (const called of calls.get(name) ?? []) {
      const way = below(called, [...above, name]);
      if (way.bytes > deepest.bytes) deepest = way;
    }
    const own = { bytes: (stackBytes.get(name) ?? 0) + deepest.bytes, way: [name, ...deepest.way] };
    known.set(name, own);
    return own;
  }
  const ways = [...stackBytes.keys()].map((name) => below(name, []));
  return ways.reduce((most, way) => (way.bytes > most.bytes ? way : most));
}
