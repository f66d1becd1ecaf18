import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';

import { AxleError } from 'axle';

import type { GuestProgram } from '../bundles/function-manifest.js';
import type { Carrier } from './carrier.js';
import { GuestInstance } from './guest-instance.js';
import type {
  Instance,
  InstanceEvents,
  InstanceProvider,
  InstanceSpec,
  PoolAccess,
} from './instance.js';
import { ProcessTable } from './process-table.js';
import { setupOf } from './setup-of.js';

const lookMs = 1000;
const closeMsMax = 500;

/** What is to be booted. */
export interface GuestSpec {
  readonly runtime: GuestProgram['runtime'];
  /** Path of its image. */
  readonly image: string;
  /** Of the machine. */
  readonly memoryMiB: number;
  /** What its port to an Axle server leads to; undefined: nowhere. */
  readonly pool: PoolAccess | undefined;
}

/** A guest whose machine runs. */
export interface RunningGuest {
  /** The stream of its calls. */
  readonly calls: Duplex;
  /** What it prints on its serial line. */
  readonly printed: Readable;
  /** Of its monitor, which leads a session. */
  readonly pid: number | undefined;
  /** Ends it. Of no effect once it ended. */
  kill(): void;
  /** @param ended called once, when it is gone, with how it ended. */
  onEnd(ended: (how: string) => void): void;
}

/** @throws what keeps the guest from booting; what `signal` says. */
export type StartGuest = (guest: GuestSpec, signal: AbortSignal) => Promise<RunningGuest>;

export interface GuestInstanceProviderOptions {
  /** As of `ProcessInstanceProviderOptions`. */
  readonly graceMs?: number;
  readonly startMsMax?: number;
}

/** Functions as guests, each instance in a virtual machine of its own. Whoever has machines starts them. */
export class GuestInstanceProvider implements InstanceProvider {
  readonly name = 'guest';
  private readonly instances = new Set<GuestInstance>();
  private readonly table = new ProcessTable();
  private lookTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly startGuest: StartGuest,
    private readonly options: GuestInstanceProviderOptions = {},
  ) {}

  /** @throws AxleError UNIMPLEMENTED for a function that is none. */
  start(spec: InstanceSpec, events: InstanceEvents): Instance {
    const { graceMs = 2000, startMsMax = 60_000 } = this.options;
    const { id, deployment, bundle, pool } = spec;
    const { guest } = bundle.manifest;
    if (guest === undefined) {
      throw new AxleError('UNIMPLEMENTED', 'what is no guest does not run in a machine');
    }
    const { memoryMiB, timeoutMs } = deployment;
    const image = join(bundle.folder, guest.image);
    const instance = new GuestInstance(
      async (signal) => {
        const { runtime } = guest;
        return this.carrierOf(await this.startGuest({ runtime, image, memoryMiB, pool }, signal));
      },
      { id, memoryMiB, timeoutMs, graceMs, startMsMax },
      {
        ...events,
        ended: (reason) => {
          this.forget(instance);
          events.ended(reason);
        },
      },
      guestSetupOf(spec),
    );
    this.instances.add(instance);
    this.lookTimer ??= setInterval(() => {
      this.table.look();
    }, lookMs).unref();
    return instance;
  }

  async close(): Promise<void> {
    await Promise.all([...this.instances].map((instance) => instance.stop(closeMsMax)));
  }

  private carrierOf(guest: RunningGuest): Carrier {
    const { table } = this;
    const { calls, printed, pid } = guest;
    if (pid !== undefined) table.add(pid);
    return {
      channel: calls,
      printed: [printed],
      get usage() {
        return table.usageOf(pid);
      },
      kill: () => {
        guest.kill();
      },
      onEnd: (ended) => {
        guest.onEnd((how) => {
          table.remove(pid);
          ended({ how, hasFullHeap: false });
        });
      },
    };
  }

  private forget(instance: GuestInstance): void {
    this.instances.delete(instance);
    if (this.instances.size > 0) return;
    clearInterval(this.lookTimer);
    this.lookTimer = undefined;
  }
}

/** Nothing that a guest would have to look for: its token is at the first depth, and there are no paths of the host. */
function guestSetupOf(spec: InstanceSpec): object {
  const { instance, functionName, timeoutMs, environment, secrets } = setupOf(spec);
  const token = spec.pool?.token ?? '';
  return { instance, functionName, timeoutMs, token, environment, secrets };
}
