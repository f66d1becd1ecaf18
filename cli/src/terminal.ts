/** ECMA-48 SGR: the code that begins each style, and the one that ends it. */
const styles = { bold: [1, 22], dim: [2, 22], red: [31, 39] } as const;
export type Style = keyof typeof styles;

/** Colours text for a stream: only on a terminal, and never under NO_COLOR (no-color.org). */
export type Painter = (style: Style, text: string) => string;

export function painterFor(
  stream: { readonly isTTY?: boolean | undefined },
  environment: NodeJS.ProcessEnv = process.env,
): Painter {
  const plain =
    stream.isTTY !== true || Boolean(environment['NO_COLOR']) || environment['TERM'] === 'dumb';
  if (plain) return (_style, text) => text;
  return (style, text) => `\u001b[${styles[style][0]}m${text}\u001b[${styles[style][1]}m`;
}

/** Whether a line can be drawn over again there. */
export function canRedraw(
  stream: { readonly isTTY?: boolean | undefined },
  environment: NodeJS.ProcessEnv = process.env,
): boolean {
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}
