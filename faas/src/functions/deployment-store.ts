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
    for (const file of (await readdir(folder)).sort()) {
      const path = join(folder, file);
      // What a crash left of a write.
      if (file.startsWith('.')) await unlink(path);
      const name = file.endsWith(suffix) ? file.slice(0, -suffix.length) : '';
      if (!isFunctionName(name)) continue;
      try {
        deployments.set(name, readStoredDeployment(await readWithin(path), name));
      } catch (error) {
        if (!(error instanceof AxleError)) throw error;
        unreadable.set(name, error);
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
    await writeFileDurably(this.pathOf(name), text);
    this.deployments.set(name, deployment);
    this.unreadable.delete(name);
  }

  /** @returns false where there is none. */
  async remove(name: string): Promise<boolean> {
    if (!this.deployments.has(name) && !this.unreadable.has(name)) return false;
    await unlink(this.pathOf(name));
    await syncFolder(this.folder);
    return this.deployments.delete(name) || this.unreadable.delete(name);
  }

  private pathOf(name: string): string {
    return join(this.folder, `${name}${suffix}`);
  }
}

async function readWithin(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size > deploymentBytesMax)
      throw new AxleError('DATA_LOSS', `${path} has ${size} bytes: no deployment`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

function tooMuch(message: string): AxleError {
  return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
}
