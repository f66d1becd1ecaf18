/** One family of metrics, as Prometheus reads it. */
export interface Family {
  readonly type: string;
  readonly help: string;
  /** By their names and labels as they were written: `name{a="b"}`. */
  readonly samples: ReadonlyMap<string, number>;
}

const sampleForm =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$/;
const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
};

/**
 * Reads the text format, version 0.0.4, as strictly as it is written down: every sample belongs to the family before it, and
 * is there once.
 */
export function readPrometheusText(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let help: [string, string] | undefined;
  let current: { name: string; type: string; samples: Map<string, number> } | undefined;
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === 'HELP') help = [name, rest];
    else if (kind === 'TYPE') {
      if (families.has(name) || help?.[0] !== name) throw new Error(`out of order: ${line}`);
      const samples = new Map<string, number>();
      current = { name, type: rest, samples };
      families.set(name, { type: rest, help: help[1], samples });
    } else {
      const [, metric = '', labels = '', value = ''] = sampleForm.exec(line) ?? [];
      const allowed = suffixes[current?.type ?? '']?.map((end) => `${current?.name ?? ''}${end}`);
      const key = `${metric}${labels}`;
      const number = value === '+Inf' ? Infinity : Number(value);
      if (allowed?.includes(metric) !== true || Number.isNaN(number)) throw new Error(line);
      if (current?.samples.has(key) === true) throw new Error(`twice: ${line}`);
      current?.samples.set(key, number);
    }
  }
  return families;
}

/** One sample, by its name and labels; undefined: it is not there. */
export function sampleOf(text: string, key: string): number | undefined {
  const [name = ''] = key.split('{');
  const families = readPrometheusText(text);
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  return family?.samples.get(key);
}
