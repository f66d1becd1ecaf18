/**
 * The same text as the engine's own copy of it. A string that was read from outside is looked up in the engine's
 * table each time it names a property, as the names of outputs do in every result.
 */
export function internalized(text: string): string {
  return Object.keys({ [text]: undefined })[0] ?? text;
}
