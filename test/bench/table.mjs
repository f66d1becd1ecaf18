/**
 * @param {readonly import('./row.mjs').Row[]} rows
 * @returns {string}
 */
export function formatTable(rows) {
  const heads = ['bench', 'case', 'value', 'peer value', 'unit', 'ratio', 'goal', 'met', 'peer'];
  const cells = rows.map((row) => [
    row.bench,
    row.case,
    number(row.value),
    number(row.peerValue),
    row.unit,
    row.ratio.toFixed(2),
    row.goal === null ? '-' : row.goal.toFixed(2),
    row.met === null ? '-' : row.met ? 'yes' : 'NO',
    row.peer,
  ]);
  const widths = heads.map((head, i) =>
    Math.max(head.length, ...cells.map((line) => line[i]?.length ?? 0)),
  );
  const lines = [heads, widths.map((width) => '-'.repeat(width)), ...cells];
  return lines
    .map(
      (line) =>
        line
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd() + '\n',
    )
    .join('');
}

/** @param {number} value */
function number(value) {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}
