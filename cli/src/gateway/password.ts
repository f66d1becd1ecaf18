import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

import { FileError, fileFailure, isSystemError } from '../failure.js';

const passwordBytes = 24;
const passwordMin = 8;
const passwordMax = 1024;
const privateMode = 0o600;

/** Where `axle faas` keeps what it knows, unless it is told another folder. */
export function defaultState(): string {
  const { XDG_STATE_HOME: base } = process.env;
  return join(base || join(homedir(), '.local', 'state'), 'axle', 'faas');
}

export function passwordFileIn(state: string): string {
  return join(state, 'password');
}

/** @throws FileError */
export async function readPassword(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fileFailure(error, path);
  }
  const password = text.trim();
  if (
    password.length >= passwordMin &&
    password.length <= passwordMax &&
    !/[\r\n\0]/.test(password)
  ) {
    return password;
  }
  throw new FileError(
    'INVALID_ARGUMENT',
    `${path} is to hold one line of ${passwordMin} to ${passwordMax} characters: the password`,
  );
}

/** Reads it, or makes one for this user alone. @returns isNew: nobody knows it yet */
export async function passwordOf(path: string): Promise<{ password: string; isNew: boolean }> {
  const password = randomBytes(passwordBytes).toString('base64url');
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'wx', privateMode);
    try {
      await file.writeFile(`${password}\n`);
    } finally {
      await file.close();
    }
    return { password, isNew: true };
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw fileFailure(error, path);
  }
  return { password: await readPassword(path), isNew: false };
}
