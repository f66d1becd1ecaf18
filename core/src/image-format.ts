/** First bytes of the formats that are decoded. A question mark stands for any byte. */
const signatures: readonly string[] = [
  '\xff\xd8\xff',
  '\x89PNG\r\n\x1a\n',
  'GIF8',
  'RIFF????WEBP',
  'II*\0',
  'MM\0*',
  '????ftypavif',
  '????ftypavis',
];

export const imageFormats = 'JPEG, PNG, WebP, GIF, AVIF or TIFF';

/**
 * Whether bytes start like an image of a format that is decoded. Vector formats are not: a few bytes of SVG can keep a
 * renderer busy for hours, and nothing stops it.
 */
export function isDecodable(bytes: Uint8Array): boolean {
  return signatures.some((pattern) => startsLike(bytes, pattern));
}

function startsLike(bytes: Uint8Array, pattern: string): boolean {
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] !== '?' && bytes[i] !== pattern.charCodeAt(i)) return false;
  }
  return true;
}
