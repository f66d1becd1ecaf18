import { randomBytes } from 'node:crypto';

/** Text with repeats, then noise: compresses, but not to nothing. */
export function mixed(bytes: number): Buffer {
  const text = Buffer.alloc(
    Math.ceil(bytes / 2),
    'The quick brown fox jumps over the lazy dog. 0123456789\n',
  );
  for (let at = 0; at < text.length; at += 97) text[at] = (at * 31) & 0xff;
  return Buffer.concat([text, randomBytes(bytes - text.length)]);
}
