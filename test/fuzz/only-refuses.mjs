/** What parsers say of input that is wrong in itself. */
const CODES = new Set(['INVALID_ARGUMENT', 'FAILED_PRECONDITION']);

/**
 * Runs a parser, which may refuse its input with an error of ours and in no other way.
 *
 * @template T
 * @param {() => T} parse
 * @returns {T | undefined} undefined where it refused
 */
export function onlyRefuses(parse) {
  try {
    return parse();
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

/** @param {unknown} error */
function isRefusal(error) {
  if (!(error instanceof Error) || !['AxleError', 'FileError'].includes(error.name)) return false;
  return 'code' in error && CODES.has(String(error.code));
}
