import { mkdtempSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { InstanceSetup } from '../handler/instance-setup.js';
import type { Instance, InstanceEvents, InstanceProvider, InstanceSpec } from './instance.js';
import { spawnGroup } from './process-group.js';
import { ProcessInstance } from './process-instance.js';

const processMain = fileURLToPath(new URL('../handler/process-main.js', import.meta.url));
const memoryCheckMs = 200;

export interface ProcessInstanceProviderOptions {
  /** For a call to end after it was cancelled or its time was over, milliseconds; then its process is killed. Default 2000. */
  readonly graceMs?: number;
  /** Until an instance takes calls, milliseconds; default 60,000. */
  readonly startMsMax?: number;
}

/** Functions as processes of this user: limits, an environment of their own, a clean end, and no security boundary. */
export class ProcessInstanceProvider implements InstanceProvider {
  readonly name = 'process';
  private readonly instances = new Set<ProcessInstance>();
  private readonly folder = mkdtempSync(join(tmpdir(), 'axle-instances-'));
  private memoryTimer: NodeJS.Timeout | undefined;

  constructor(private readonly options: ProcessInstanceProviderOptions = {}) {}

  start(spec: InstanceSpec, events: InstanceEvents): Instance {
    const { graceMs = 2000, startMsMax = 60_000 } = this.options;
    const { id, deployment, bundle } = spec;
    const { memoryMiB, timeoutMs } = deployment;
    const home = mkdtempSync(join(this.folder, `${id}-`));
    const environment = { ...ownEnvironment(home), ...bundle.manifest.environment };
    const child = spawnGroup(process.execPath, [...heapFlags(memoryMiB), processMain], {
      folder: home,
      environment: ownEnvironment(home),
      input: 'ignore',
      channel: true,
    });
    const setup: InstanceSetup = {
      functionName: deployment.name,
      instance: id,
      folder: bundle.folder,
      handler: bundle.manifest.handler ?? '',
      timeoutMs,
      environment: { ...environment, ...deployment.environment },
      secrets: Object.fromEntries(
        [...spec.secrets].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
      ),
      pool: spec.pool,
      models: bundle.manifest.models,
    };
    const limits = { id, memoryMiB, timeoutMs, graceMs, startMsMax };
    const instance = new ProcessInstance(child, limits, events, setup);
    this.instances.add(instance);
    this.memoryTimer ??= setInterval(() => {
      for (const each of this.instances) each.checkMemory();
    }, memoryCheckMs).unref();
    void instance.ended.then(async () => {
      this.instances.delete(instance);
      if (this.instances.size === 0) {
        clearInterval(this.memoryTimer);
        this.memoryTimer = undefined;
      }
      await rm(home, { recursive: true, force: true });
    });
    return instance;
  }

  async close(): Promise<void> {
    await Promise.all([...this.instances].map((instance) => instance.stop(0)));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** V8 collects harder the nearer it comes to its limit: before the process is killed for what is only garbage. */
function heapFlags(memoryMiB: number): string[] {
  return [`--max-old-space-size=${Math.floor(memoryMiB * 0.75)}`];
}

/** Nothing of the front end's but where programs are. */
function ownEnvironment(home: string): Record<string, string> {
  const { PATH = '/usr/local/bin:/usr/bin:/bin' } = process.env;
  return { PATH, HOME: home, TMPDIR: home, LANG: 'C.UTF-8' };
}
