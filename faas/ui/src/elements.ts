type Properties<T extends keyof HTMLElementTagNameMap> = Partial<
  Pick<HTMLElementTagNameMap[T], keyof HTMLElementTagNameMap[T] & string>
>;

/** An element with what is in it; text stays text, whoever wrote it. */
export function element<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  properties: Properties<T> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[T] {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

/** What the page has from the beginning. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`the page has no ${id}`);
}

export interface Column<R> {
  readonly title: string;
  readonly isNumber?: boolean;
  readonly cell: (row: R) => Node | string;
}

/** A table, or what is said where there is nothing to show. */
export function table<R>(
  columns: readonly Column<R>[],
  rows: readonly R[],
  nothing: string,
): HTMLElement {
  if (rows.length === 0) return element('p', {}, nothing);
  const classOf = ({ isNumber = false }: Column<R>) => (isNumber ? 'number' : '');
  const head = columns.map((column) =>
    element('th', { className: classOf(column), scope: 'col' }, column.title),
  );
  const body = rows.map((row) =>
    element(
      'tr',
      {},
      ...columns.map((column) => element('td', { className: classOf(column) }, column.cell(row))),
    ),
  );
  return element(
    'table',
    {},
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...body),
  );
}

/** Three digits: 1.23, 45.6, 789, 12,345; nothing of nothing. */
export function figure(value: number | null): string {
  if (value === null) return '-';
  const digits = value !== 0 && Math.abs(value) < 100 ? 3 : 0;
  return digits === 0
    ? Math.round(value).toLocaleString('en')
    : String(Number(value.toPrecision(digits)));
}

export function milliseconds(value: number | null): string {
  return value === null ? '-' : `${figure(value)} ms`;
}

const byteUnits = ['bytes', 'KiB', 'MiB', 'GiB'];

export function byteCount(bytes: number): string {
  const unit = Math.min(byteUnits.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${figure(bytes / 1024 ** unit)} ${byteUnits[unit] ?? ''}`;
}
