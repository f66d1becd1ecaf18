/** What a host needs to open this plugin: its name, its shared library and its options. */
export interface PluginLocation {
  readonly name: string;
  /** Absolute path of the shared library. It exists only once the plugin is built. */
  readonly path: string;
  /** Options passed to the plugin when it is opened. */
  readonly options: {
    /** Absolute path of libonnxruntime; absent where no ONNX Runtime is packaged for this machine. */
    readonly onnxruntime?: string;
  };
}

/** The CPU plugin: every op, on any machine. */
export declare const plugin: PluginLocation;
