// An archive that Linux unpacks as its first file system: cpio in its newc form, of the kernel's own documentation
// (Documentation/driver-api/early-userspace/buffer-format.rst).

const FILE = 0o100755;
const FOLDER = 0o040755;
const CHARACTER_DEVICE = 0o020600;
const LAST = 'TRAILER!!!';
const ALIGNMENT = 4;

/**
 * @typedef {object} Entry
 * @property {string} path without a leading /
 * @property {Uint8Array} [content] of a file
 * @property {readonly [major: number, minor: number]} [device] of a character device; without either: a folder
 */

/**
 * @param {readonly Entry[]} entries folders before what is in them
 * @returns {Buffer} the same for the same entries
 */
export function initramfsOf(entries) {
  const parts = entries.map((entry, i) => entryBytes(entry, i + 1));
  return Buffer.concat([...parts, entryBytes({ path: LAST, content: new Uint8Array(0) }, 0)]);
}

/**
 * @param {Entry} entry
 * @param {number} inode
 */
function entryBytes({ path, content, device }, inode) {
  const mode = content !== undefined ? FILE : device !== undefined ? CHARACTER_DEVICE : FOLDER;
  const [major, minor] = device ?? [0, 0];
  const name = Buffer.from(`${path}\0`);
  const bytes = content?.byteLength ?? 0;
  // Inode, mode, user, group, links, time, size, device, device it is, name's length, checksum (none in this form).
  const numbers = [inode, mode, 0, 0, 1, 0, bytes, 0, 0, major, minor, name.byteLength, 0];
  const header = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`;
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name])), padded(content)]);
}

/** @param {Uint8Array} [bytes] */
function padded(bytes = new Uint8Array(0)) {
  const rest = bytes.byteLength % ALIGNMENT;
  return Buffer.concat([bytes, Buffer.alloc(rest === 0 ? 0 : ALIGNMENT - rest)]);
}
