import type { Instance, InstanceEvents, InstanceProvider, InstanceSpec } from './instance.js';

/** Functions whose manifest names a `runtime` as guests, and the others as they were without them. */
export class WithGuestsProvider implements InstanceProvider {
  readonly name: string;

  constructor(
    private readonly others: InstanceProvider,
    private readonly guests: InstanceProvider,
  ) {
    this.name = others.name;
  }

  start(spec: InstanceSpec, events: InstanceEvents): Instance {
    const isGuest = spec.bundle.manifest.guest !== undefined;
    return (isGuest ? this.guests : this.others).start(spec, events);
  }

  async close(): Promise<void> {
    await Promise.all([this.others.close(), this.guests.close()]);
  }
}
