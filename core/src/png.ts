import { crc32, deflateSync } from 'node:zlib';

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const colourTypeRgb = 2;
const bitsPerSample = 8;
const channels = 3;

/**
 * A PNG file (RFC 2083), without loss.
 *
 * @param pixels RGB, rows from the top.
 */
export function encodePng(pixels: Uint8Array, width: number, height: number): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = bitsPerSample;
  header[9] = colourTypeRgb;
  const rowBytes = width * channels;
  const noFilter = Uint8Array.of(0);
  const rows = Array.from({ length: height }, (_, y) => [
    noFilter,
    pixels.subarray(y * rowBytes, (y + 1) * rowBytes),
  ]).flat();
  const data = deflateSync(Buffer.concat(rows));
  const end = new Uint8Array();
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', end)]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}
