/** What a host needs to open this plugin: its name, its shared library and its options. */
export interface PluginLocation {
  readonly name: string;
  /** Absolute path of the shared library. It exists only once the plugin is built. */
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
}

/** NVIDIA GPUs; not available, with the reason, on a machine without their driver. */
export declare const plugin: PluginLocation;
