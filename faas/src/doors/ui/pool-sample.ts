/** A device of the pool as the page shows it. */
export interface PoolDevice {
  readonly device: string;
  /** It only stands for hardware. */
  readonly emulated: boolean;
  readonly health: string;
  /** That wait or run. */
  readonly tasks: number;
  /** How long a new task would wait, milliseconds. */
  readonly waitMs: number;
  readonly tasksPerSecond: number;
  /** Tasks computed together; null: none were. */
  readonly batchSize: number | null;
}

/** A model of the pool, over the last interval. */
export interface PoolModel {
  readonly model: string;
  readonly version: string;
  readonly pending: number;
  readonly requestsPerSecond: number;
  readonly latencyMs: number | null;
  readonly batchSize: number | null;
}

export interface PoolSample {
  readonly devices: readonly PoolDevice[];
  readonly models: readonly PoolModel[];
}

/** Looks at the pool, since it was last looked at. @throws AxleError where it does not answer. */
export type SamplePool = () => Promise<PoolSample>;
