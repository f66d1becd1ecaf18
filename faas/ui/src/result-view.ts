import { byteCount, element, figure, milliseconds } from './elements.js';

/** What a call gave. */
export interface Played {
  readonly functionName: string;
  readonly file: File;
  readonly status: number;
  readonly contentType: string;
  readonly answer: Blob;
  /** Of the header `x-axle-report`; undefined: the function says nothing of its calls to the pool. */
  readonly report: Report | undefined;
  /** As the page saw it, milliseconds. */
  readonly tookMs: number;
}

/** What results of Axle say of their making: CallReport. */
export interface Report {
  readonly device: string;
  readonly timingMs: {
    readonly queue: number;
    readonly transfer: number;
    readonly compute: number;
  };
}

interface Label {
  readonly label: string;
  readonly score: number;
}

const shownCharactersMax = 10_000;

export function readReport(header: string | null): Report | undefined {
  if (header === null) return undefined;
  try {
    const { device, timingMs } = JSON.parse(header) as Partial<Report>;
    const times = [timingMs?.queue, timingMs?.transfer, timingMs?.compute];
    const isReport = typeof device === 'string' && times.every(Number.isFinite);
    return isReport ? ({ device, timingMs } as Report) : undefined;
  } catch {
    // A function may say what it likes.
    return undefined;
  }
}

export async function resultView(played: Played): Promise<readonly Node[]> {
  const { functionName, status, report, tookMs } = played;
  const device = report === undefined ? '' : ` on ${report.device}`;
  const said = `${functionName} answered ${status} in ${milliseconds(tookMs)}${device}`;
  return [
    element('p', { className: status < 400 ? '' : 'bad' }, said),
    ...(report === undefined ? [] : timeline(report, tookMs)),
    ...(await answerView(played)),
  ];
}

function timeline({ timingMs: { queue, transfer, compute } }: Report, tookMs: number): Node[] {
  const rest = Math.max(0, tookMs - queue - transfer - compute);
  const parts = [
    ['queue', 'Queue', queue],
    ['transfer', 'Transfer', transfer],
    ['compute', 'Compute', compute],
    ['rest', 'Function and network', rest],
  ] as const;
  const bars = parts.map(([className, , ms]) => {
    const bar = element('div', { className });
    bar.style.flexGrow = String(ms);
    return bar;
  });
  const legend = parts.map(([className, title, ms]) =>
    element('li', {}, element('span', { className }), `${title} ${milliseconds(ms)}`),
  );
  const text = parts.map(([, title, ms]) => `${title} ${milliseconds(ms)}`).join(', ');
  const chart = element('div', { className: 'timeline', role: 'img', ariaLabel: text }, ...bars);
  return [chart, element('ul', { className: 'legend' }, ...legend)];
}

async function answerView(played: Played): Promise<readonly Node[]> {
  const { answer, contentType, file, status } = played;
  if (contentType.startsWith('application/json')) return jsonView(await answer.text(), file);
  if (status >= 400 || contentType.startsWith('text/')) return [textView(await answer.text())];
  const ratio = answer.size === 0 ? 0 : file.size / answer.size;
  return [
    element(
      'p',
      {},
      `${byteCount(file.size)} became ${byteCount(answer.size)}: ${figure(ratio)} to 1. `,
      element('a', { href: URL.createObjectURL(answer), download: `${file.name}.out` }, 'Save it'),
    ),
  ];
}

function jsonView(text: string, file: File): readonly Node[] {
  const value = parsed(text);
  const labels = labelsIn(value);
  if (labels === undefined) return [textView(JSON.stringify(value, null, 2))];
  const thumbnail = textField(value, 'thumbnail');
  const isImage = thumbnail.startsWith('data:image/');
  const source = isImage ? thumbnail : URL.createObjectURL(file);
  const rows = labels.map(({ label, score }) =>
    element(
      'li',
      {},
      element('meter', { max: 1, value: score, ariaLabel: label }),
      ` ${label} ${figure(score * 100)} %`,
    ),
  );
  return [
    element('img', { className: 'preview', src: source, alt: file.name }),
    element('ol', { className: 'labels' }, ...rows),
  ];
}

function textView(text: string): HTMLElement {
  const cut = text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}...` : text;
  return element('pre', { tabIndex: 0 }, cut);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function textField(value: unknown, name: string): string {
  const text = (value as Readonly<Record<string, unknown>>)[name];
  return typeof text === 'string' ? text : '';
}

/** `{"labels": [{"label", "score"}]}` */
function labelsIn(value: unknown): readonly Label[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { labels } = value as { readonly labels?: unknown };
  const isList = Array.isArray(labels) && labels.length > 0 && labels.every(isLabel);
  return isList ? labels : undefined;
}

function isLabel(value: unknown): value is Label {
  if (typeof value !== 'object' || value === null) return false;
  const { label, score } = value as Partial<Label>;
  return typeof label === 'string' && typeof score === 'number';
}
