import { open, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { GuestError } from './guest-error.js';

/** A unikernel: one ELF file with a PVH note. A microVM: a folder with a Linux kernel and its first file system. */
export type GuestImage =
  | { readonly kind: 'unikernel'; readonly kernel: string }
  | { readonly kind: 'microvm'; readonly kernel: string; readonly initrd: string };

export type GuestKind = GuestImage['kind'];

/** What the folder of a microVM has. */
export const kernelFile = 'vmlinuz';
export const initrdFile = 'initrd.img';

/** A Linux kernel has its mark there (Documentation/arch/x86/boot.rst, "header"). */
const linuxMark = { at: 0x202, text: 'HdrS' };
const elfMark = '\x7fELF';
const headBytes = linuxMark.at + linuxMark.text.length;

/**
 * What is at a path: told by what it holds, not by its name.
 *
 * @throws GuestError NOT_FOUND where it, or a file of the folder, cannot be read; INVALID_ARGUMENT for what does not boot.
 */
export async function readGuestImage(path: string): Promise<GuestImage> {
  if (!(await isFolder(path))) {
    const head = await headOf(path);
    if (isElf(head)) return { kind: 'unikernel', kernel: path };
    throw wrong(
      isLinux(head)
        ? `the image is a Linux kernel; give the folder that has it as ${kernelFile}, with ${initrdFile} beside it`
        : 'the image does not boot: it is no ELF file; give one with a PVH note, or the folder of a microVM',
    );
  }
  const [kernel, initrd] = [join(path, kernelFile), join(path, initrdFile)];
  const head = await headOf(kernel);
  await headOf(initrd);
  if (!isLinux(head) && !isElf(head)) throw wrong(`${kernelFile} of the image is no Linux kernel`);
  return { kind: 'microvm', kernel, initrd };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw unreadable(error);
  }
}

async function headOf(path: string): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    throw unreadable(error);
  } finally {
    await file?.close();
  }
}

function isElf(head: Buffer): boolean {
  return head.toString('latin1', 0, elfMark.length) === elfMark;
}

function isLinux(head: Buffer): boolean {
  return head.toString('latin1', linuxMark.at) === linuxMark.text;
}

function unreadable(error: unknown): GuestError {
  return new GuestError('NOT_FOUND', `the image cannot be read: ${(error as Error).message}`);
}

function wrong(message: string): GuestError {
  return new GuestError('INVALID_ARGUMENT', message);
}
