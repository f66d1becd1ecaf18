import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { AxleError } from 'axle';

import { ChannelInstance } from './channel-instance.js';
import type { Instance, InstanceEvents, InstanceProvider, InstanceSpec } from './instance.js';
import { InstancesFolder } from './instances-folder.js';
import { setupOf } from './setup-of.js';
import { ThreadCarrier } from './thread-carrier.js';
import { ownEnvironment } from './waiting-processes.js';

const closeMsMax = 500;

export interface ThreadInstanceProviderOptions {
  /** As of `ProcessInstanceProviderOptions`. */
  readonly graceMs?: number;
  readonly startMsMax?: number;
}

/**
 * Functions as worker threads of this process: many more of them, for functions that are trusted. They share what a
 * process has: its end, its working directory, and memory, of which only the heap of each is limited (`memoryMiB`).
 * Commands need processes.
 */
export class ThreadInstanceProvider implements InstanceProvider {
  readonly name = 'thread';
  private readonly instances = new Set<ChannelInstance>();
  private readonly folder = new InstancesFolder();

  constructor(private readonly options: ThreadInstanceProviderOptions = {}) {}

  /** @throws AxleError UNIMPLEMENTED for a command. */
  start(spec: InstanceSpec, events: InstanceEvents): Instance {
    const { graceMs = 2000, startMsMax = 60_000 } = this.options;
    const { id, deployment, bundle } = spec;
    const { memoryMiB, timeoutMs } = deployment;
    if (bundle.manifest.handler === undefined) {
      throw new AxleError('UNIMPLEMENTED', 'commands do not run in threads; run processes');
    }
    const setup = setupOf(spec);
    const home = mkdtempSync(join(this.folder.path, 'thread-'));
    const environment = { ...ownEnvironment(home), ...setup.environment };
    const carrier = new ThreadCarrier({ heapMiB: memoryMiB, environment });
    const limits = { id, memoryMiB, timeoutMs, graceMs, startMsMax };
    const watched: InstanceEvents = {
      ...events,
      ended: (reason) => {
        this.instances.delete(instance);
        rm(home, { recursive: true, force: true }).catch(() => undefined);
        events.ended(reason);
      },
    };
    const instance = new ChannelInstance(carrier, limits, watched, setup);
    this.instances.add(instance);
    return instance;
  }

  async close(): Promise<void> {
    await Promise.all([...this.instances].map((instance) => instance.stop(closeMsMax)));
    await this.folder.close();
  }
}
