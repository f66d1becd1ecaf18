import { isDeepStrictEqual } from 'node:util';

import type { Backend, CustomOpSpec, Device, OfferedOp } from './backend.js';
import { AxleError } from './errors.js';
import type { UnavailableBackend } from './results.js';
import { sameRange, type OpRange } from './op.js';

export interface Candidate {
  readonly backend: Backend;
  readonly device: Device;
  readonly offered: OfferedOp;
}

/** The backends of a runtime and what their devices offer. */
export class Registry {
  private readonly backends = new Map<string, Backend>();
  private readonly missing: UnavailableBackend[] = [];
  /** Of all backends; asked for with each call that names one. */
  private allDevices: readonly Device[] = [];
  private changes = 0;
  /** Custom ops by name and version: the first backend that offers one says what it takes and gives. */
  private readonly described = new Map<
    string,
    { readonly backend: Backend; readonly spec: CustomOpSpec }
  >();
  /** By backend and op: what differs from that description. */
  private readonly differing = new Set<string>();

  /** Another one whenever a backend was added, or one has grown: what was worked out from the registry before is out of date then. */
  get version(): number {
    return this.changes;
  }

  /** @throws AxleError ALREADY_EXISTS when a backend of that name is there. */
  add(backend: Backend): void {
    if (this.backends.has(backend.name)) {
      throw new AxleError(
        'ALREADY_EXISTS',
        `there is a backend named '${backend.name}' already; give one of them another name`,
      );
    }
    this.backends.set(backend.name, backend);
    this.takeIn(backend);
    backend.onGrown?.(() => {
      this.takeIn(backend);
    });
  }

  has(name: string): boolean {
    return this.backends.has(name);
  }

  /** Notes a backend that this machine cannot have. */
  addUnavailable(backend: string, reason: string): void {
    this.missing.push({ backend, reason });
  }

  get all(): readonly Backend[] {
    return [...this.backends.values()];
  }

  get unavailable(): readonly UnavailableBackend[] {
    return this.missing;
  }

  get devices(): readonly Device[] {
    return this.allDevices;
  }

  backendOf(device: Device): Backend {
    const backend = this.backends.get(device.backend);
    if (backend === undefined)
      throw new AxleError('INTERNAL', `device ${device.id} has no backend`);
    return backend;
  }

  /** Devices whose backend offers exactly this range. */
  candidates(range: OpRange): Candidate[] {
    return this.all.flatMap((backend) => {
      const offered = backend.ops.find((op) => sameRange(op, range));
      if (offered === undefined || this.isRefused(backend, offered)) return [];
      return backend.devices.map((device) => ({ backend, device, offered }));
    });
  }

  /** Whether another backend gives the custom op of this name and version another description: calls are checked by that. */
  isRefused(backend: Backend, op: OfferedOp): boolean {
    return this.differing.size > 0 && this.differing.has(`${backend.name} ${keyOf(op)}`);
  }

  private takeInOps(backend: Backend): void {
    for (const op of backend.ops) {
      if (op.spec === undefined) continue;
      const key = keyOf(op);
      const first = this.described.get(key);
      if (first === undefined) this.described.set(key, { backend, spec: op.spec });
      else if (first.backend !== backend && !this.isRefused(backend, op)) {
        if (isDeepStrictEqual(contractOf(first.spec), contractOf(op.spec))) continue;
        this.differing.add(`${backend.name} ${key}`);
        this.addUnavailable(
          backend.name,
          `its op ${key} is described otherwise than that of '${first.backend.name}', by whose description calls are ` +
            'checked; it is not offered: give it another version or name',
        );
      }
    }
  }

  /** New devices come after all others: their places are numbers of theirs elsewhere. */
  private takeIn(backend: Backend): void {
    const { devices } = backend;
    this.takeInOps(backend);
    const known = new Set(this.allDevices);
    this.allDevices = [...this.allDevices, ...devices.filter((device) => !known.has(device))];
    this.changes += 1;
  }
}

function keyOf({ name, version }: OfferedOp): string {
  return `${name}@${version}`;
}

/** What callers rely on: all but the words about it. */
function contractOf({ args, inputs, outputs }: CustomOpSpec): unknown {
  return {
    args: args.map(({ name, type, required }) => ({ name, type, required })),
    inputs,
    outputs,
  };
}
