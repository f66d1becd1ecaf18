import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

import { GuestError } from './guest-error.js';

const program = 'qemu-system-x86_64';

/**
 * Where the virtual machine monitor is.
 *
 * @param path said by the user, in place of the one on PATH
 * @throws GuestError NOT_FOUND saying what to install.
 */
export async function findVmm(path?: string): Promise<string> {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const candidates = path === undefined ? folders.map((folder) => join(folder, program)) : [path];
  for (const candidate of candidates) {
    if (await may(candidate, constants.X_OK)) return candidate;
  }
  throw new GuestError(
    'NOT_FOUND',
    path === undefined
      ? `there is no ${program}; on Debian: apt-get install qemu-system-x86`
      : `${path} is no program that can be run`,
  );
}

/** Longer than a machine takes that is only made and ended. */
const probeMsMax = 5000;

/**
 * Whether KVM works: `/dev/kvm` may be there, and be an imitation that lacks much of a processor and stops guests halfway.
 * It makes a machine, with a processor of which nothing may be missing, and ends it before it has run.
 */
export async function kvmWorks(vmm: string): Promise<boolean> {
  if (!(await may('/dev/kvm', constants.R_OK | constants.W_OK))) return false;
  const child = spawn(
    vmm,
    [
      ...['-M', 'microvm,accel=kvm', '-cpu', 'qemu64,-svm,enforce', '-S'],
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'stdio'],
    ],
    { stdio: ['pipe', 'ignore', 'ignore'], timeout: probeMsMax, killSignal: 'SIGKILL' },
  );
  // It may have ended before it reads that it should.
  child.stdin.on('error', () => undefined);
  child.stdin.end('quit\n');
  const [code] = (await once(child, 'close')) as [number | null];
  return code === 0;
}

async function may(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false; // Not there, or not for this user: the same to who asks.
  }
}
