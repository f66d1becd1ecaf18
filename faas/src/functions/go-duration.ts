const msByUnit: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const part = /(\d{1,12}(?:\.\d{0,9})?)(ns|us|µs|ms|s|m|h)/gy;

/**
 * A time as Go and therefore OpenFaaS writes it: `30s`, `1m30s`, `1.5h`, `0`; a bare number counts seconds.
 *
 * @returns milliseconds; undefined for anything else.
 */
export function parseGoDuration(text: string): number | undefined {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  let ms = 0;
  let end = 0;
  for (const [whole, number, unit] of text.matchAll(part)) {
    ms += Number(number) * (msByUnit[unit as string] as number);
    end += whole.length;
  }
  return end > 0 && end === text.length ? Math.ceil(ms) : undefined;
}
