import type { Calls } from '../calls/function-call.js';
import type { Deployment } from './deployment.js';

/** What there is of a function now. */
export interface FunctionStatus {
  /** Instances that are wanted. */
  readonly replicas: number;
  /** Instances that take calls. */
  readonly availableReplicas: number;
  /** Of all instances. */
  readonly usage?: FunctionUsage | undefined;
}

export interface FunctionUsage {
  /** Thousandths of a processor, of late. */
  readonly cpuMillis: number;
  readonly memoryBytes: number;
}

/** What runs deployed functions: all that doors know of it. */
export interface FunctionHost extends Calls {
  /** A function that is new, changed, or was there before a restart. Instances start and end later. */
  deploy(deployment: Deployment): void;
  /** Settles when the last instance is gone. */
  remove(name: string): Promise<void>;
  /** As many instances as this from now on, until calls want others. */
  scale(name: string, replicas: number): void;
  status(name: string): Promise<FunctionStatus>;
  /** Takes no more calls, lets those that are there end, and ends all instances. */
  close(graceMs: number): Promise<void>;
}
