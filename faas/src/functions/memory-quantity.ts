const bytesOf: Readonly<Record<string, number>> = {
  m: 0.001,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};
const bytesPerMiB = 2 ** 20;

/** A quantity of Kubernetes, such as `128Mi`, `1G`, `1e9` or `500000`: MiB, rounded up; undefined for anything else. */
export function parseMemoryMiB(text: string): number | undefined {
  const [, number = '', unit = ''] =
    /^(\d{1,15}(?:\.\d{0,9})?(?:[eE]\d{1,2})?)(m|[kMGTPE]|[KMGTPE]i)?$/.exec(text) ?? [];
  if (number === '') return undefined;
  const MiB = Math.ceil((Number(number) * (bytesOf[unit] as number)) / bytesPerMiB);
  return Number.isSafeInteger(MiB) ? MiB : undefined;
}
