import { AxleError } from '@axle/core/internal';

/**
 * Text, or a whole number with more digits than every double has exactly. Text without an end reaches to the end of all,
 * so that it is not looked for again from each of its quotes.
 */
const textOrLong = /"(?:[^"\\]|\\[^])*(?:"|\\?$)|(?<=[[,:\s])-?\d{16,}(?![\d.eE])/g;
const long = /\d{16}/;

/**
 * Reads JSON. Whole numbers that a double may not hold exactly come as text, digit by digit.
 *
 * @throws AxleError INVALID_ARGUMENT; RESOURCE_EXHAUSTED for more than `bytesMax`.
 */
export function parseJson(bytes: Uint8Array, bytesMax: number): unknown {
  if (bytes.byteLength > bytesMax) {
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `the request has ${bytes.byteLength} bytes of JSON; ${bytesMax} are the most: send large tensors as binary data`,
      { retryable: false },
    );
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  try {
    return JSON.parse(long.test(text) ? text.replace(textOrLong, quoted) : text) as unknown;
  } catch (error) {
    // V8's message quotes what may be anything.
    const [place = ''] = /at position \d+/.exec(String(error)) ?? [];
    throw new AxleError('INVALID_ARGUMENT', `the request is no JSON${place && ` (${place})`}`);
  }
}

function quoted(match: string): string {
  return match.startsWith('"') ? match : `"${match}"`;
}
