import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { say, SetupError } from './run-logged.mjs';

const POLL_MS = 200;
const WAIT_LIMIT_MS = 30 * 60_000;

/**
 * Runs `work` while holding a lock file, so that two set-ups of one checkout do not meet. The lock
 * of a process that has ended is taken over.
 *
 * @template T
 * @param {string} path
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, work) {
  const release = await acquire(path);
  try {
    return await work();
  } finally {
    release();
  }
}

/**
 * @param {string} path
 * @returns {Promise<() => void>} releases the lock
 */
async function acquire(path) {
  mkdirSync(dirname(path), { recursive: true });
  const mine = identity(process.pid) ?? `${process.pid}`;
  const giveUpAt = Date.now() + WAIT_LIMIT_MS;
  let told = false;
  while (!create(path, mine)) {
    const theirs = read(path);
    if (theirs === undefined) continue;
    if (!isAlive(theirs)) {
      removeStale(path, theirs);
      continue;
    }
    if (Date.now() > giveUpAt) {
      throw new SetupError(
        `another set-up still holds ${path}; end process ${theirs} or delete it`,
      );
    }
    if (!told) say(`waiting for another set-up (process ${theirs.split(' ')[0]})`);
    told = true;
    await sleep(POLL_MS);
  }
  return () => {
    if (read(path) === mine) rmSync(path, { force: true });
  };
}

/**
 * The file appears with its content: nobody can read it half written.
 *
 * @param {string} path
 * @param {string} content
 * @returns {boolean} false if the file exists
 */
function create(path, content) {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, content);
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * Another process may be taking over the same lock: only the one whose rename finds the stale
 * content removes it, and a fresh lock moved by mistake is put back.
 *
 * @param {string} path
 * @param {string} stale
 */
function removeStale(path, stale) {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  const moved = read(aside);
  if (moved !== undefined && moved !== stale) create(path, moved);
  rmSync(aside, { force: true });
}

/**
 * @param {string} path
 * @returns {string | undefined} undefined if there is no such file
 */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // ESRCH: a process that ended while its file in /proc was read.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

/**
 * A pid alone may have been given to another process since, so Linux's start time goes with it.
 *
 * @param {number} pid
 * @returns {string | undefined} undefined if the process is gone
 */
function identity(pid) {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field, the name, may hold spaces and ends with the last ")"; then come the state
  // (field 3) and in time the start (field 22).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const hasEnded = fields[0] === 'Z' || fields[0] === 'X';
  return hasEnded ? undefined : `${pid} ${fields[19]}`;
}

/** @param {string} holder */
function isAlive(holder) {
  const pid = Number(holder.split(' ')[0]);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  if (holder.includes(' ')) return identity(pid) === holder;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code;
}
