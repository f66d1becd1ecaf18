/** How many instances a function has, and when: OpenFaaS's `com.openfaas.scale.*`. */
export interface ScalingPolicy {
  readonly min: number;
  readonly max: number;
  /** What `target` counts: calls at once of one instance, or calls a second of one. */
  readonly by: 'concurrency' | 'rate';
  readonly target: number;
  /** To no instance at all after `idleMs` without a call; otherwise `min`, and at least one, stay. */
  readonly toZero: boolean;
  readonly idleMs: number;
  /** Calls of the function at once, of all instances; more wait. */
  readonly inFlightMax: number;
  /** Calls that wait; more are refused. */
  readonly queueMax: number;
}

/** What runs under a name. */
export interface Deployment {
  readonly name: string;
  /** NAME:TAG, as it was asked for. */
  readonly image: string;
  /** What the tag meant then. */
  readonly bundleId: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Names of secrets: files that an instance reads. */
  readonly secrets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly memoryMiB: number;
  readonly timeoutMs: number;
  /** Calls that one instance works on at once. */
  readonly concurrency: number;
  readonly scaling: ScalingPolicy;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Rises with each update: instances of an older one finish their calls and end. */
  readonly generation: number;
}
