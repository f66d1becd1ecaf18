import { FileError } from '../failure.js';

/** Samples of one answer; a server's metrics are a few thousand. */
export const samplesMax = 100_000;

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a server answered, by the names of metrics. */
export type Samples = ReadonlyMap<string, readonly Sample[]>;

const lineForm = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*$/;
const labelForm = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?[ \t]*/gy;

/**
 * Reads Prometheus's text format.
 *
 * @throws FileError DATA_LOSS for what is none; RESOURCE_EXHAUSTED for more than `samplesMax` samples.
 */
export function readPrometheusText(text: string): Samples {
  const samples = new Map<string, Sample[]>();
  let count = 0;
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    if (++count > samplesMax) {
      throw new FileError('RESOURCE_EXHAUSTED', `there are more than ${samplesMax} metrics`);
    }
    const [, name = '', labels = '', value = ''] = lineForm.exec(line) ?? [];
    const number = numberOf(value);
    if (name === '' || number === undefined) throw notMetrics();
    const known = samples.get(name) ?? [];
    samples.set(name, known);
    known.push({ labels: labelsOf(labels), value: number });
  }
  return samples;
}

function numberOf(text: string): number | undefined {
  if (text === '+Inf' || text === '-Inf') return Number(text.replace('Inf', 'Infinity'));
  if (text === 'NaN') return NaN;
  const value = Number(text);
  return text === '' || Number.isNaN(value) ? undefined : value;
}

function labelsOf(text: string): Record<string, string> {
  // Not to inherit anything: names are a stranger's.
  const labels = Object.create(null) as Record<string, string>;
  labelForm.lastIndex = 0;
  while (labelForm.lastIndex < text.length) {
    const match = labelForm.exec(text);
    if (match === null) throw notMetrics();
    const [, name = '', value = ''] = match;
    labels[name] = value.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));
  }
  return labels;
}

function notMetrics(): FileError {
  return new FileError(
    'DATA_LOSS',
    'what answers there does not speak of metrics; give the URL that axle serve --metrics prints',
  );
}
