import { printable } from './printable.js';
import type { Painter } from './terminal.js';

/** Columns aligned with spaces; no line ends in spaces. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  paint: Painter,
): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = header.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [paint('bold', line(header)), ...cells.map(line)].map((text) => `${text}\n`).join('');
}
