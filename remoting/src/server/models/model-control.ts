/** How the operator's models come and go. */
export interface ModelControl {
  /**
   * `none`: each is read at its first call, and stays as it was then. `explicit`: those that are loaded by name. `poll`:
   * all that the folders hold, as they change.
   */
  readonly mode: 'none' | 'explicit' | 'poll';
  /** With `explicit`: those that are loaded when the server starts. */
  readonly load: readonly string[];
  /** With `poll`: between two looks, milliseconds. */
  readonly pollMs: number;
  /** Who may load and unload: it changes what everyone sees. */
  readonly tenants: readonly string[];
}
