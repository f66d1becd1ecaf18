import type { Sample, Samples } from './prometheus-text.js';

export type Labels = Readonly<Record<string, string>>;

/** Two answers of a server, and what grew between them. */
export class Figures {
  constructor(
    private readonly before: Samples,
    private readonly after: Samples,
    private readonly seconds: number,
  ) {}

  /** Values of a label of a metric, in their order. */
  values(name: string, label: string): string[] {
    return this.labelSets(name, [label]).map(([value = '']) => value);
  }

  /** What labels of a metric are together. */
  labelSets(name: string, labels: readonly string[]): string[][] {
    const sets = new Map<string, string[]>();
    for (const sample of this.after.get(name) ?? []) {
      const set = labels.map((label) => sample.labels[label] ?? '');
      sets.set(JSON.stringify(set), set);
    }
    return [...sets.values()];
  }

  /** Of all samples with these labels; undefined: there are none. */
  find(name: string, labels: Labels = {}): number | undefined {
    return sumOf(this.after, name, labels);
  }

  /** The same, where none is 0. */
  now(name: string, labels: Labels = {}): number {
    return this.find(name, labels) ?? 0;
  }

  /** A second. */
  rate(name: string, labels: Labels = {}): number {
    return this.grown(name, labels) / this.seconds;
  }

  /** What one counter grew for each that another did; null: none. */
  mean(sum: string, count: string, labels: Labels): number | null {
    const times = this.grown(count, labels);
    return times === 0 ? null : this.grown(sum, labels) / times;
  }

  /** By the numbers that a label says, rising. */
  grownBy(name: string, labels: Labels, label: string): (readonly [number, number])[] {
    return this.values(name, label)
      .map((value) => {
        const bound = value === '+Inf' ? Infinity : Number(value);
        return [bound, this.grown(name, { ...labels, [label]: value })] as const;
      })
      .sort(([a], [b]) => a - b);
  }

  /** A server that was started again counts from nothing. */
  private grown(name: string, labels: Labels): number {
    const now = sumOf(this.after, name, labels) ?? 0;
    const then = sumOf(this.before, name, labels) ?? 0;
    return now >= then ? now - then : now;
  }
}

function sumOf(samples: Samples, name: string, labels: Labels): number | undefined {
  const fitting = (samples.get(name) ?? []).filter((sample) => fits(sample, labels));
  if (fitting.length === 0) return undefined;
  return fitting.reduce((sum, { value }) => sum + value, 0);
}

function fits(sample: Sample, labels: Labels): boolean {
  return Object.entries(labels).every(([name, value]) => sample.labels[name] === value);
}
