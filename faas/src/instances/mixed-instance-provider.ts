import type { Instance, InstanceEvents, InstanceProvider, InstanceSpec } from './instance.js';

/** Handlers in one kind of instance, such as threads, and programs in another, since only processes run them. */
export class MixedInstanceProvider implements InstanceProvider {
  readonly name: string;

  constructor(
    private readonly handlers: InstanceProvider,
    private readonly commands: InstanceProvider,
  ) {
    this.name = handlers.name;
  }

  start(spec: InstanceSpec, events: InstanceEvents): Instance {
    const isHandler = spec.bundle.manifest.handler !== undefined;
    return (isHandler ? this.handlers : this.commands).start(spec, events);
  }

  async close(): Promise<void> {
    await Promise.all([this.handlers.close(), this.commands.close()]);
  }
}
