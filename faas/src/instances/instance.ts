import type { Bundle } from '../bundles/bundle-store.js';
import type { FunctionAnswer, FunctionCall } from '../calls/function-call.js';
import type { Deployment } from '../functions/deployment.js';

/** What an instance is started with. */
export interface InstanceSpec {
  /** Unique in the life of the front end. */
  readonly id: string;
  readonly deployment: Deployment;
  readonly bundle: Bundle;
  /** Of the function alone: secrets by name. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** Where its `context.axle` connects, and by which token; undefined: nowhere. */
  readonly pool: { readonly url: string; readonly token: string } | undefined;
}

/** A line that an instance printed, or what ended it. */
export interface LogLine {
  readonly instance: string;
  readonly at: Date;
  readonly text: string;
}

/** One place that runs a function: a process, a thread, a guest. */
export interface Instance {
  readonly id: string;
  /** Settles when it takes calls. @throws AxleError FAILED_PRECONDITION: the handler cannot be loaded. */
  readonly ready: Promise<void>;
  /** Settles when it is gone, with the reason: killed, over its memory, exit code. Never rejects. */
  readonly ended: Promise<string>;
  /** @throws AxleError as `Calls.invoke`. */
  invoke(call: FunctionCall): Promise<Pick<FunctionAnswer, 'status' | 'headers' | 'body'>>;
  /** Lets calls end until the time is over, and then ends it. */
  stop(graceMs: number): Promise<void>;
}

/** Starts instances: processes and threads are here, guests are the cli's. */
export interface InstanceProvider {
  readonly name: string;
  start(spec: InstanceSpec, log: (line: LogLine) => void): Instance;
  close(): Promise<void>;
}
