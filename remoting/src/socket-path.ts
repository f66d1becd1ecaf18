/** What a socket address holds beside its final zero, on Linux; what is longer, the system would cut. */
const socketPathBytesMax = 107;

/** Why no socket can be there; undefined: one can. */
export function socketPathProblem(path: string): string | undefined {
  const bytes = Buffer.byteLength(path);
  if (bytes <= socketPathBytesMax && !path.includes('\0')) return undefined;
  return `a socket's path has at most ${socketPathBytesMax} bytes, none of them zero; this one has ${bytes}`;
}
