import { createHash } from 'node:crypto';

import { AxleError } from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';

/** A file of a model, as its manifest has it. */
export interface ManifestFile {
  readonly name: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
  /** Where it begins in the content: all files one after another. */
  readonly offset: number;
}

/** The files of a model: PROTOCOL.md section 9. */
export interface Manifest {
  /** Hex, the SHA-256 of `text`. */
  readonly contentId: string;
  readonly text: Uint8Array;
  /** By name. */
  readonly files: readonly ManifestFile[];
  /** Of all files. */
  readonly bytes: number;
}

/** One part of a name: what file systems take. */
const namePartBytesMax = 255;
/** Of a file; so that sums stay exact. */
const fileBytesMax = 2 ** 48;

/**
 * Reads what a client sent, and trusts nothing of it.
 *
 * @throws AxleError DATA_LOSS when it is not what `contentId` names; INVALID_ARGUMENT for what is no manifest.
 */
export function readManifest(text: Uint8Array, contentId: string): Manifest {
  const found = createHash('sha256').update(text).digest('hex');
  if (found !== contentId) {
    throw new AxleError(
      'DATA_LOSS',
      `the manifest has the SHA-256 ${found}, not ${contentId}; send it again`,
    );
  }
  const lines = decoded(text).split('\n');
  if (lines.pop() !== '') throw wrong('its last line does not end');
  if (lines.length === 0) throw wrong('it names no file');
  if (lines.length > wireLimits.modelFilesMax) {
    throw wrong(`it names ${lines.length} files; ${wireLimits.modelFilesMax} are the most`);
  }
  const files: ManifestFile[] = [];
  let offset = 0;
  for (const [i, line] of lines.entries()) {
    const file = readLine(line, i + 1, offset);
    files.push(file);
    offset += file.bytes;
  }
  checkOrder(files);
  return { contentId, text, files, bytes: offset };
}

function decoded(text: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
  } catch {
    throw wrong('it is not UTF-8');
  }
}

function readLine(line: string, number: number, offset: number): ManifestFile {
  const [, sha256 = '', size = '', name = ''] =
    /^([0-9a-f]{64}) (0|[1-9][0-9]{0,15}) (.+)$/s.exec(line) ?? [];
  if (sha256 === '') throw wrong(`line ${number} is not 'SHA-256 SIZE NAME'`);
  const bytes = Number(size);
  if (bytes > fileBytesMax) throw wrong(`line ${number} has a file of ${size} bytes`);
  const problem = nameProblem(name);
  if (problem !== undefined) throw wrong(`the name on line ${number} ${problem}`);
  return { name, bytes, sha256, offset };
}

/** Why a name cannot be that of a model's file. */
export function nameProblem(name: string): string | undefined {
  if (Buffer.byteLength(name) > wireLimits.fileNameBytesMax) {
    return `has more than ${wireLimits.fileNameBytesMax} bytes`;
  }
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'has control characters';
  for (const part of name.split('/')) {
    if (part === '' || part === '.' || part === '..') {
      return "is not relative to the model's folder: it has an empty part, '.' or '..'";
    }
    if (Buffer.byteLength(part) > namePartBytesMax) {
      return `has a part of more than ${namePartBytesMax} bytes`;
    }
  }
  return undefined;
}

/** Names rise, and none is a folder of another. */
function checkOrder(files: readonly ManifestFile[]): void {
  const names = new Set(files.map(({ name }) => name));
  for (const [i, { name }] of files.entries()) {
    const before = files[i - 1];
    if (before !== undefined && before.name >= name) throw wrong('its names do not rise');
    for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) {
      if (names.has(name.slice(0, at))) throw wrong('a name is both a file and a folder');
    }
  }
}

function wrong(why: string): AxleError {
  return new AxleError(
    'INVALID_ARGUMENT',
    `this is no manifest of a model: ${why}; see PROTOCOL.md section 9`,
  );
}
