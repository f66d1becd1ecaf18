/**
 * Reads the names that Pango needs to pick a face out of a TrueType or OpenType file.
 * @see https://learn.microsoft.com/typography/opentype/spec/name
 */

import { readFileSync } from 'node:fs';

const LEGACY_FAMILY = 1;
const LEGACY_STYLE = 2;
const WINDOWS_PLATFORM = 3;

/**
 * @param {Buffer} file a whole .ttf or .otf file (not a collection)
 * @param {string} tag the table's four characters
 * @returns {Buffer | undefined} the table, or undefined where the file has none
 */
function findTable(file, tag) {
  const tableCount = file.readUInt16BE(4);
  for (let index = 0; index < tableCount; index += 1) {
    const record = 12 + 16 * index;
    if (file.toString('latin1', record, record + 4) !== tag) continue;
    const offset = file.readUInt32BE(record + 8);
    return file.subarray(offset, offset + file.readUInt32BE(record + 12));
  }
  return undefined;
}

/**
 * @param {string} path of a .ttf or .otf file
 * @returns {{ family: string, style: string }} the four-style names, for example
 *   "Lato Black" and "Italic", which fontconfig knows for every weight
 * @throws {Error} when the file holds no such names
 */
export function readFontNames(path) {
  const table = findTable(readFileSync(path), 'name');
  if (!table) throw new Error(`${path} has no name table: it is not a TrueType or OpenType font.`);
  const strings = table.readUInt16BE(4);
  const names = new Map();
  for (let index = 0; index < table.readUInt16BE(2); index += 1) {
    const record = 6 + 12 * index;
    if (table.readUInt16BE(record) !== WINDOWS_PLATFORM) continue;
    const start = strings + table.readUInt16BE(record + 10);
    const utf16be = Buffer.from(table.subarray(start, start + table.readUInt16BE(record + 8)));
    const id = table.readUInt16BE(record + 6);
    if (!names.has(id)) names.set(id, utf16be.swap16().toString('utf16le'));
  }
  const family = names.get(LEGACY_FAMILY);
  if (!family) throw new Error(`${path} does not name its family: leave it out of --fonts.`);
  return { family, style: names.get(LEGACY_STYLE) ?? 'Regular' };
}
