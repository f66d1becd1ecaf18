import { AxleError } from 'axle';

import type { Deployment } from '../functions/deployment.js';
import type { Calls, FunctionAnswer, FunctionCall } from './function-call.js';
import {
  ServedFunction,
  type FunctionReport,
  type FunctionSurroundings,
} from './served-function.js';

export interface FunctionCallsOptions extends Omit<
  FunctionSurroundings,
  'prefetch' | 'log' | 'failed' | 'queueMsMax' | 'ageMsMax' | 'leftBundle'
> {
  readonly prefetch?: FunctionSurroundings['prefetch'];
  readonly log?: FunctionSurroundings['log'];
  readonly failed?: FunctionSurroundings['failed'];
  /** Default 60,000. */
  readonly queueMsMax?: number;
  /** Default `instanceAgeMsMax`. */
  readonly ageMsMax?: number;
}

const queueMsMaxDefault = 60_000;
/** An instance is replaced after so long, milliseconds; what it was started with is to be good for as long, and more. */
export const instanceAgeMsMax = 6 * 3_600_000;

/** The functions that are deployed, and the calls to them: from acceptance to answer. */
export class FunctionCalls implements Calls {
  private readonly functions = new Map<string, ServedFunction>();
  /** Removed, with instances that still answer. */
  private readonly leaving = new Set<ServedFunction>();
  private readonly surroundings: FunctionSurroundings;
  private onLeftBundle: () => void = () => undefined;
  /** Numbers of instances that functions had which are not there any more: none comes again. */
  private startedBefore = 0;
  private isClosed = false;

  constructor(options: FunctionCallsOptions) {
    const nothing = (): void => undefined;
    const defaults = {
      prefetch: nothing,
      log: nothing,
      failed: nothing,
      queueMsMax: queueMsMaxDefault,
      ageMsMax: instanceAgeMsMax,
      leftBundle: (): void => {
        if (!this.isClosed) this.onLeftBundle();
      },
    };
    this.surroundings = { ...defaults, ...options };
  }

  /**
   * Takes calls for a function from now on, or changes how. Instances of an older generation serve until new ones are
   * ready; the same generation with other numbers of instances changes only these.
   */
  deploy(deployment: Deployment): void {
    const served = this.functions.get(deployment.name);
    if (served !== undefined) served.update(deployment);
    else {
      const { surroundings, startedBefore } = this;
      const added = new ServedFunction(deployment, surroundings, startedBefore);
      this.functions.set(deployment.name, added);
    }
  }

  /**
   * So many instances of it from now on, within its least and most, until load decides again.
   *
   * @returns how many; 0 where there is no such function.
   */
  ask(name: string, replicas: number): number {
    return this.functions.get(name)?.ask(replicas) ?? 0;
  }

  /** What kept it from starting may be gone: it need not wait for its next try. */
  retry(name: string): void {
    this.functions.get(name)?.retry();
  }

  /** Called when an instance ends whose bundle its function does not run any more. */
  whenBundleIsLeft(listener: () => void): void {
    this.onLeftBundle = listener;
  }

  /** Whose files an instance has, or is about to have. */
  usedBundles(): Set<string> {
    const all = [...this.functions.values(), ...this.leaving];
    return new Set(all.flatMap((served) => [...served.usedBundles]));
  }

  /** Takes no more calls; those that run have `graceMs` to end. */
  async remove(name: string, graceMs = 0): Promise<void> {
    const served = this.functions.get(name);
    this.functions.delete(name);
    if (served === undefined) return;
    this.leaving.add(served);
    this.startedBefore = Math.max(this.startedBefore, served.startedCount);
    await served.close(graceMs, new AxleError('NOT_FOUND', `the function ${name} was removed`));
    this.leaving.delete(served);
  }

  async invoke(call: FunctionCall): Promise<FunctionAnswer> {
    const served = this.functions.get(call.functionName);
    if (served !== undefined) return served.invoke(call);
    if (this.isClosed) throw new AxleError('UNAVAILABLE', 'the front end is closed');
    throw new AxleError('NOT_FOUND', `there is no function ${call.functionName}`);
  }

  /** Undefined without such a function. */
  report(name: string): FunctionReport | undefined {
    return this.functions.get(name)?.report();
  }

  /** Ends all instances; calls that run have `graceMs` to end. */
  async close(graceMs = 0): Promise<void> {
    this.isClosed = true;
    const all = [...this.functions.values()];
    this.functions.clear();
    const reason = new AxleError('UNAVAILABLE', 'the front end is closed');
    await Promise.all(all.map((served) => served.close(graceMs, reason)));
    await this.surroundings.provider.close();
  }
}
