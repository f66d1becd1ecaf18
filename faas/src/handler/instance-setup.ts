/** What SETUP says: JSON. */
export interface InstanceSetup {
  readonly functionName: string;
  readonly instance: string;
  /** Of the bundle. */
  readonly folder: string;
  /** To work in, where an instance has one of its own. */
  readonly workFolder: string | undefined;
  /** In the folder. */
  readonly handler: string;
  readonly timeoutMs: number;
  /** All that the function's environment has. */
  readonly environment: Readonly<Record<string, string>>;
  /** Base64 by name. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly pool: { readonly url: string; readonly token: string } | undefined;
  /** Of the pool, loaded before the first call. */
  readonly models: readonly string[];
}
