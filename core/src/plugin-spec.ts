/** A plugin that a process opens. */
export interface PluginSpec {
  /**
   * What it is listed as where it does not open. An opened one goes by the name that it gives itself, or by this one where
   * another has that name: the same library may be opened several times, with other options each time.
   */
  readonly name: string;
  /** Absolute path of the shared library. */
  readonly path: string;
  /** Handed to the plugin's `open` as they are; one that it does not know makes it unavailable. Default none. */
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** Only this one of its devices, counted from 0; default all. */
  readonly device?: number | undefined;
}
