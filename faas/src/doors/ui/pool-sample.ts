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

/** One server of a pool of many. */
export interface PoolServer {
  readonly server: string;
  readonly state: string;
  readonly tasks: number;
  readonly tasksPerSecond: number;
  /** Devices whose tasks go elsewhere. */
  readonly passedOver: number;
}

/** One of their devices. */
export interface PoolServerDevice {
  readonly device: string;
  readonly tasks: number;
  readonly waitMs: number;
  readonly tasksPerSecond: number;
}

/** When work left a server last. */
export interface PoolMove {
  readonly server: string;
  readonly reason: string;
  readonly tasks: number;
  readonly models: number;
  /** The longest that a task stood still, milliseconds. */
  readonly pauseMs: number;
}

export interface PoolTenant {
  readonly tenant: string;
  readonly callsPerSecond: number;
  /** By what there are quotas of; null: no quota. */
  readonly usage: Readonly<Record<string, { readonly used: number; readonly most: number | null }>>;
}

/** Of servers and moves there are none where the pool is one server. */
export interface PoolSample {
  readonly servers: readonly PoolServer[];
  readonly serverDevices: readonly PoolServerDevice[];
  readonly moves: readonly PoolMove[];
  readonly devices: readonly PoolDevice[];
  readonly models: readonly PoolModel[];
  readonly tenants: readonly PoolTenant[];
}

/** Looks at the pool, since it was last looked at. @throws AxleError where it does not answer. */
export type SamplePool = () => Promise<PoolSample>;
