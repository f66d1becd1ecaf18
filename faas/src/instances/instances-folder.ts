import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const prefix = 'axle-instances-';
/** A socket that somebody listens on while the folder is in use: the system closes it, however its process ended. */
const aliveName = 'alive.sock';
/** The same before anybody listens on it. */
const startingName = 'alive.new';

/** Of this process, so that they go with it: a second Ctrl-C leaves no time to close them. */
const open = new Set<string>();

process.on('exit', () => {
  for (const path of open) removeNow(path);
});

/**
 * A folder for what instances keep, of this user only. It goes when it is closed, or its process ends; where that was
 * killed, with the next one of the same user. By the rule of the other temporary folders of Axle, and made at once.
 */
export class InstancesFolder {
  readonly path = mkdtempSync(join(tmpdir(), prefix));
  private readonly alive: Promise<Server | undefined>;

  constructor() {
    open.add(this.path);
    this.alive = listenIn(this.path);
    void sweep();
  }

  /** Takes it away, with all that is in it. */
  async close(): Promise<void> {
    const alive = await this.alive;
    rmSync(this.path, { recursive: true, force: true });
    open.delete(this.path);
    alive?.close();
  }
}

/** @returns undefined where there can be no socket, as the path is too long for one: the folder is never swept then */
async function listenIn(path: string): Promise<Server | undefined> {
  const alive = createServer((socket) => socket.destroy()).unref();
  try {
    const starting = join(path, startingName);
    alive.listen(starting);
    await once(alive, 'listening');
    // Under its name somebody listens on it from the first moment on, or nobody ever will again.
    await rename(starting, join(path, aliveName));
    return alive;
  } catch {
    alive.close();
    return undefined;
  }
}

/** Takes away what front ends left that were killed. Never fails: what cannot be removed stays. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    const path = join(tmpdir(), name);
    if (name.startsWith(prefix) && (await isLeft(path)))
      await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function isLeft(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory() !== true || found.uid !== process.getuid?.()) return false;
  return new Promise((resolve) => {
    const socket = connect(join(path, aliveName)).unref();
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code === 'ECONNREFUSED');
    });
  });
}

/** What says whose it is goes last: where somebody still writes into the folder, it stays, and is found. */
function removeNow(path: string): void {
  try {
    for (const name of readdirSync(path))
      if (name !== aliveName) rmSync(join(path, name), { recursive: true, force: true });
    rmSync(path, { recursive: true, force: true });
  } catch {
    // The next front end takes it away.
  }
}
