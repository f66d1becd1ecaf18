/** Text with repeats and some noise, always the same for a seed. */
export function text(bytes: number, seed: number): Buffer {
  const data = Buffer.alloc(bytes, 'The quick brown fox jumps over the lazy dog. ');
  let state = seed + 1;
  for (let at = 0; at < bytes; at += 13) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[at] = state >>> 24;
  }
  return data;
}
