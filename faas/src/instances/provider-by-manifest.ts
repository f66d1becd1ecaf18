import type { Instance, InstanceEvents, InstanceProvider, InstanceSpec } from './instance.js';

/** Who starts the instances of what kind of function; one may start several kinds. */
export interface ProvidersByKind {
  /** Modules with a handler: in processes, or in threads. */
  readonly handlers: InstanceProvider;
  /** Programs, which only processes run. */
  readonly commands: InstanceProvider;
  /** Functions whose manifest names a `runtime`. */
  readonly guests: InstanceProvider;
}

/** Starts each function where its manifest says that it runs. */
export class ProviderByManifest implements InstanceProvider {
  readonly name: string;

  constructor(private readonly providers: ProvidersByKind) {
    this.name = providers.handlers.name;
  }

  start(spec: InstanceSpec, events: InstanceEvents): Instance {
    const { guest, handler } = spec.bundle.manifest;
    const { handlers, commands, guests } = this.providers;
    const provider = guest !== undefined ? guests : handler !== undefined ? handlers : commands;
    return provider.start(spec, events);
  }

  async close(): Promise<void> {
    const each = new Set<InstanceProvider>(Object.values(this.providers));
    await Promise.all([...each].map((provider) => provider.close()));
  }
}
