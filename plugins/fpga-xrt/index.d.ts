/** What a host needs to open this plugin: its name, its shared library and its options. */
export interface PluginLocation {
  readonly name: string;
  /** Absolute path of the shared library. It exists only once the plugin is built. */
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
}

/** FPGA cards under XRT; not available, with the reason, on a machine without one, or where no image was named for it. */
export declare const plugin: PluginLocation;
