const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Bytes for people, in powers of 1000: '1.23 MB'. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : threeDigits(value)} ${byteUnits[unit] ?? ''}`;
}

/** Milliseconds for people: '0.42 ms', '1.5 s'. */
export function formatMs(ms: number): string {
  return ms < 1000 ? `${threeDigits(ms)} ms` : `${threeDigits(ms / 1000)} s`;
}

/** Bytes per second in MB/s; time too short to measure gives '-'. */
export function formatRate(bytes: number, ms: number): string {
  return ms <= 0 ? '- MB/s' : `${threeDigits(bytes / 1000 / ms)} MB/s`;
}

/** Three significant digits without an exponent. */
export function threeDigits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value.toFixed(2);
}

const multiples: Readonly<Record<string, number>> = {
  '': 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

/** '500', '64K', '2G', '2GiB': bytes, or undefined for anything else. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+)(?:([KMGT])(?:i?B)?)?$/i.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (multiples[(match[2] ?? '').toUpperCase()] ?? NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
