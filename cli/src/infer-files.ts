import { isUtf8 } from 'node:buffer';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { Tensor, type DataTypeName } from '@axle/core';

import { AtomicFile } from './atomic-file.js';
import { FileError, fileFailure, isSystemError, UsageError } from './failure.js';
import { openInput, readWhole } from './input.js';
import { readNpy, writeNpy } from './npy.js';
import { formatTensorJson, parseTensorJson, type ArrayData } from './tensor-json.js';
import { elementCodecs } from './tensor-elements.js';

/** `NAME=FILE` of the command line. */
export interface InputFile {
  readonly name: string;
  readonly file: string;
  readonly format: 'npy' | 'json';
}

/** Most of a file that is read at once. */
const fileBytesMax: Readonly<Record<InputFile['format'], number>> = {
  npy: 2 * 1024 ** 3,
  json: 256 * 1024 ** 2,
};

/** @throws UsageError for arguments that are not NAME=FILE with a known suffix, each name once. */
export function parseInputFiles(texts: readonly string[]): InputFile[] {
  const inputs = texts.map(parseInputFile);
  const twice = inputs.find(({ name }, index) => inputs.findIndex((i) => i.name === name) < index);
  if (twice !== undefined) throw new UsageError(`--input ${twice.name} is given twice`);
  return inputs;
}

function parseInputFile(text: string): InputFile {
  const at = text.indexOf('=');
  const file = text.slice(at + 1);
  if (at < 1 || file === '') {
    throw new UsageError(`--input takes NAME=FILE.npy or NAME=FILE.json, not '${text}'`);
  }
  const format = /\.(npy|json)$/i.exec(file)?.[1]?.toLowerCase() as InputFile['format'] | undefined;
  if (format === undefined) {
    throw new UsageError(`--input ${text}: the file's name must end in .npy or .json`);
  }
  return { name: text.slice(0, at), file, format };
}

/** Reads one input; a bare JSON array is of the type that the model declares. */
export async function readInputTensor(
  { file, format }: InputFile,
  declared: DataTypeName | undefined,
  signal: AbortSignal,
): Promise<Tensor> {
  const input = await openInput(file);
  try {
    if ((input.sizeBytes ?? 0) > fileBytesMax[format]) {
      throw new FileError(
        'RESOURCE_EXHAUSTED',
        `it has ${input.sizeBytes} bytes; the limit for .${format} is ${fileBytesMax[format]}`,
      );
    }
    const bytes = await readWhole(input, fileBytesMax[format], signal);
    const array = format === 'npy' ? readNpy(bytes) : parseTensorJson(textOf(bytes), declared);
    return toTensor(array);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof FileError) || error.cause !== undefined) throw fileFailure(error, file);
    throw new FileError(error.code, `${file}: ${error.message}`, { cause: error });
  } finally {
    await input.close();
  }
}

/** @throws FileError INVALID_ARGUMENT for other bytes, which would become U+FFFD. */
function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  throw new FileError('INVALID_ARGUMENT', 'it is no UTF-8; bytes that are no text go as .npy');
}

/** Writes each output as a file of its own in a folder, which is made where needed; gives the names by output. */
export async function writeOutputs(
  folder: string,
  outputs: Readonly<Record<string, Tensor>>,
): Promise<ReadonlyMap<string, string>> {
  await makeFolder(folder);
  const files = new Map<string, string>();
  for (const [name, tensor] of Object.entries(outputs)) {
    const { data, suffix } = encodeOutput(toArrayData(tensor));
    const file = unusedPath(folder, safeName(name), suffix, new Set(files.values()));
    files.set(name, file);
    const output = await AtomicFile.create(file, { overwrite: true });
    try {
      await output.write(data);
      await output.commit();
    } finally {
      await output.discard();
    }
  }
  return files;
}

/** The tensor's memory as this command's readers and writers take it. */
export function toArrayData(tensor: Tensor): ArrayData {
  const { dtype, shape, bytes } = tensor;
  return dtype === 'BYTES' ? { dtype, shape, elements: tensor.elements } : { dtype, shape, bytes };
}

function toTensor(array: ArrayData): Tensor {
  return array.dtype === 'BYTES'
    ? Tensor.from('BYTES', array.elements, array.shape)
    : Tensor.fromBytes(array.dtype, array.bytes, array.shape);
}

function encodeOutput(array: ArrayData): { data: Uint8Array; suffix: '.npy' | '.json' } {
  if (array.dtype === 'BYTES') {
    return { data: Buffer.from(`${formatTensorJson(array)}\n`), suffix: '.json' };
  }
  const { dtype, shape, bytes } = array;
  if (dtype !== 'BF16') return { data: writeNpy({ dtype, shape, bytes }), suffix: '.npy' };
  return { data: writeNpy({ dtype: 'FP32', shape, bytes: widenBf16(bytes) }), suffix: '.npy' };
}

/** numpy has no bfloat16; FP32 holds every value of it. */
function widenBf16(bytes: Uint8Array): Uint8Array {
  const wide = new Uint8Array(bytes.byteLength * 2);
  for (let offset = 0; offset < bytes.byteLength; offset += elementCodecs.BF16.bytes) {
    wide.set(bytes.subarray(offset, offset + 2), offset * 2 + 2);
  }
  return wide;
}

/** Names in a model are any text, such as `head/Softmax:0`; they must not lead out of the folder. */
function safeName(name: string): string {
  const safe = name
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^\.+/, '_')
    .slice(0, 200);
  return safe === '' ? '_' : safe;
}

/** Two outputs may become one name when made safe. */
function unusedPath(
  folder: string,
  name: string,
  suffix: string,
  used: ReadonlySet<string>,
): string {
  let path = join(folder, `${name}${suffix}`);
  for (let count = 2; used.has(path); count += 1) path = join(folder, `${name}_${count}${suffix}`);
  return path;
}

/**
 * Makes a folder and those above it, level by level: the recursive mkdir of Node never ends below a folder that takes
 * no entries, such as /proc.
 */
async function makeFolder(path: string): Promise<void> {
  const missing: string[] = [];
  let folder = resolve(path);
  try {
    for (;;) {
      const status = await stat(folder).catch((error: unknown) => {
        if (isSystemError(error, 'ENOENT')) return undefined;
        throw error;
      });
      if (status?.isDirectory() === true) break;
      if (status !== undefined) {
        throw new FileError('INVALID_ARGUMENT', `${folder} is no folder; --output takes one`);
      }
      missing.unshift(folder);
      folder = dirname(folder);
    }
    for (const each of missing) await mkdir(each);
  } catch (error) {
    throw fileFailure(error, path);
  }
}
