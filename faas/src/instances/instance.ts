import type { AxleError } from 'axle';

import type { Bundle } from '../bundles/bundle-store.js';
import type { FunctionAnswer, FunctionCall } from '../calls/function-call.js';
import type { Deployment } from '../functions/deployment.js';
import type { ProcessUsage } from './process-table.js';

/** Where `context.axle` connects, and by which token. */
export interface PoolAccess {
  readonly url: string;
  /** '': the pool asks for none. */
  readonly token: string;
}

/** What an instance is started with. */
export interface InstanceSpec {
  /** Unique in the life of the front end; of letters, digits, '.' and '-'. */
  readonly id: string;
  readonly deployment: Deployment;
  readonly bundle: Bundle;
  /** Of the function alone: secrets by name. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** Undefined: it has no `context.axle`. */
  readonly pool: PoolAccess | undefined;
}

/** A line that an instance printed, or what ended it. */
export interface LogLine {
  readonly instance: string;
  readonly at: Date;
  readonly text: string;
}

/** What an instance says by itself. */
export interface InstanceEvents {
  readonly log: (line: LogLine) => void;
  /** It is to be given no calls until it says otherwise: one is past its time, and it may be stuck in it. */
  readonly deaf: (isDeaf: boolean) => void;
  /** It should be given no more calls, and be stopped: a handler of it runs on past its time, say. */
  readonly retire: (reason: AxleError) => void;
  /** Last and once: it is gone. Called before its calls fail, so that none of them is given to it again. */
  readonly ended: (reason: AxleError) => void;
}

export type InstanceAnswer = Pick<FunctionAnswer, 'status' | 'headers' | 'body'>;

/** Who waits for a call. */
export interface CallOutcome {
  /** Once, unless `failed` came. */
  answered(answer: InstanceAnswer): void;
  /** Once, unless `answered` came: what fails later is an error of the answer's body. */
  failed(error: unknown): void;
  /** Last and once, also of an instance that ended: it holds nothing of the call any more. */
  freed(): void;
}

/** A call that an instance has. */
export interface RunningCall {
  /** Nobody waits any more: fails it with the reason, and tells the instance. */
  cancel(reason: unknown): void;
}

/** One place that runs a function: a process, a thread, a guest. */
export interface Instance {
  readonly id: string;
  /** Settles when it takes calls. @throws AxleError FAILED_PRECONDITION: the handler cannot be loaded. */
  readonly ready: Promise<void>;
  /** What it uses now, where that is known. */
  readonly usage: ProcessUsage | undefined;
  /** Callbacks, not promises: they are on the way of every call. None comes before it returns. */
  invoke(call: FunctionCall, outcome: CallOutcome): RunningCall;
  /** Lets calls end until the time is over, and then ends it. Settles when it is gone. */
  stop(graceMs: number): Promise<void>;
}

/** Starts instances: processes and threads are here, guests are the cli's. */
export interface InstanceProvider {
  readonly name: string;
  /** Failures are the instance's: `ready` rejects. */
  start(spec: InstanceSpec, events: InstanceEvents): Instance;
  close(): Promise<void>;
}
