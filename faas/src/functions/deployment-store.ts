import { constants } from 'node:fs';
import { mkdir, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { AxleError } from 'axle';

import { isFunctionName } from '../bundles/bundle-reference.js';
import { syncFolder, writeFileDurably } from '../durable-file.js';
import type { Deployment } from './deployment.js';
import { deploymentBytesMax, functionsMax } from './deployment-limits.js';
import { readStoredDeployment, writeStoredDeployment } from './stored-deployment.js';

const suffix = '.json';

/** What is deployed: a file for each function, on disk before it is answered. Changes come one after another. */
export class DeploymentStore {
  private constructor(
    private readonly folder: string,
    private readonly deployments: Map<string, Deployment>,
    private readonly unreadable: Map<string, AxleError>,
  ) {}

  /** @throws Error of the file system. */
  static async open(folder: string): Promise<DeploymentStore> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const deployments = new Map<string, Deployment>();
    const unreadable = new Map<string, AxleError>();
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const { name: file } = entry;
      const path = join(folder, file);
      // What a crash left of a write.
      if (file.startsWith('.') && entry.isFile()) await unlink(path);
      const name = file.endsWith(suffix) ? file.slice(0, -suffix.length) : '';
      if (!isFunctionName(name)) continue;
      try {
        deployments.set(name, readStoredDeployment(await readWithin(path), name));
      } catch (error) {
        unreadable.set(name, error instanceof AxleError ? error : notRead(path, error as Error));
      }
    }
    return new DeploymentStore(folder, deployments, unreadable);
  }

  get(name: string): Deployment | undefined {
    return this.deployments.get(name);
  }

  get size(): number {
    return this.deployments.size;
  }

  /** Functions whose files are there and are no deployments, by name, with DATA_LOSS. One that is put takes such a place. */
  get broken(): ReadonlyMap<string, AxleError> {
    return this.unreadable;
  }

  /** By name. */
  list(): Deployment[] {
    return [...this.deployments.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @throws AxleError RESOURCE_EXHAUSTED over `functionsMax` or `deploymentBytesMax`. */
  async put(deployment: Deployment): Promise<void> {
    const { name } = deployment;
    const isNew = !this.deployments.has(name) && !this.unreadable.has(name);
    if (isNew && this.deployments.size + this.unreadable.size >= functionsMax) {
      throw tooMuch(`${functionsMax} functions are deployed, the most; remove one first`);
    }
    const text = writeStoredDeployment(deployment);
    if (Buffer.byteLength(text) > deploymentBytesMax) {
      throw tooMuch(`the deployment of ${name} has more than ${deploymentBytesMax} bytes`);
    }
    await writeFileDurably(this.pathOf(name), text).catch(this.inTheWay(name));
    this.deployments.set(name, deployment);
    this.unreadable.delete(name);
  }

  /** @returns false where there is none. */
  async remove(name: string): Promise<boolean> {
    if (!this.deployments.has(name) && !this.unreadable.has(name)) return false;
    await unlink(this.pathOf(name)).catch(this.inTheWay(name));
    await syncFolder(this.folder);
    return this.deployments.delete(name) || this.unreadable.delete(name);
  }

  /** What this class did not make it does not take away. */
  private inTheWay(name: string): (error: unknown) => never {
    return (error) => {
      if ((error as NodeJS.ErrnoException).code !== 'EISDIR') throw error;
      throw new AxleError(
        'FAILED_PRECONDITION',
        `${this.pathOf(name)} is a folder, where the deployment of ${name} would be; remove it first`,
        { cause: error },
      );
    };
  }

  private pathOf(name: string): string {
    return join(this.folder, `${name}${suffix}`);
  }
}

async function readWithin(path: string): Promise<string> {
  // A pipe would be waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = await file.stat();
    if (!status.isFile())
      throw new AxleError('DATA_LOSS', `${path} is no file, where a deployment would be`);
    const { size } = status;
    if (size > deploymentBytesMax)
      throw new AxleError('DATA_LOSS', `${path} has ${size} bytes: no deployment`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

function notRead(path: string, cause: Error): AxleError {
  return new AxleError('DATA_LOSS', `${path} cannot be read: ${cause.message}`, { cause });
}

function tooMuch(message: string): AxleError {
  return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
}
