/**
 * Runs a parser. What it refuses for a limit is no finding.
 *
 * @template T
 * @param {() => T} parse
 * @returns {T | undefined}
 */
export function notAtLimit(parse) {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'RESOURCE_EXHAUSTED') {
      return undefined;
    }
    throw error;
  }
}
