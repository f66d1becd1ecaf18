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

export interface ImageSize {
  readonly format: 'png' | 'jpeg';
  /** Pixels, as stored: an EXIF orientation may swap the two. */
  readonly width: number;
  readonly height: number;
}

/** What the head of a PNG or JPEG says; undefined for other formats and for heads that make no sense. */
export function imageSize(bytes: Uint8Array): ImageSize | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (startsLike(bytes, '\x89PNG')) return pngSize(view);
  return startsLike(bytes, '\xff\xd8\xff') ? jpegSize(view) : undefined;
}

/** IHDR comes first and begins with both sides (ISO/IEC 15948, 11.2.2). */
function pngSize(view: DataView): ImageSize | undefined {
  const ihdr = 0x49484452;
  if (view.byteLength < 24 || view.getUint32(12) !== ihdr) return undefined;
  return { format: 'png', width: view.getUint32(16), height: view.getUint32(20) };
}

/** Walks the marker segments up to the start of the frame (ITU-T T.81, B.2.2). */
function jpegSize(view: DataView): ImageSize | undefined {
  let at = 2;
  while (at + 9 <= view.byteLength) {
    const marker = view.getUint16(at);
    if (isStartOfFrame(marker)) {
      return { format: 'jpeg', width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    }
    const length = view.getUint16(at + 2);
    // Whoever pads with 0xff, or puts markers without a length before the frame, is decoded the usual way.
    if (marker >> 8 !== 0xff || hasNoLength(marker) || length < 2) return undefined;
    at += 2 + length;
  }
  return undefined;
}

/** 0xffc0 to 0xffcf, but for the three that are tables: DHT, JPG and DAC. */
function isStartOfFrame(marker: number): boolean {
  return marker >> 4 === 0xffc && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
}

/** Fill, TEM, RST0 to RST7, SOI, EOI; and SOS, after which no frame begins. */
function hasNoLength(marker: number): boolean {
  return marker === 0xffff || marker === 0xff01 || (marker >= 0xffd0 && marker <= 0xffda);
}
