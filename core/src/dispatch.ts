import type { Device, LoadedModel, NamedTensor } from './backend.js';
import { CallExecution } from './call-execution.js';
import type { Cancellation } from './cancellation.js';
import type { DeviceUses } from './device-uses.js';
import { DirectCalls, type DirectListener } from './direct-calls.js';
import type { Model } from './models/model.js';
import type { ModelStore } from './models/model-store.js';
import type { LaneWire } from './native-lanes.js';
import type { Chain } from './plans/chain.js';
import type { CircuitBreaker } from './plans/circuit-breaker.js';
import type { CostModel } from './plans/cost-model.js';
import type { Preference, Router, Segment } from './plans/router.js';
import type { CallReport } from './results.js';
import type { Clock, DeviceQueue } from './scheduling/device-queue.js';
import type { Session } from './session.js';

/** One call as dispatch takes it: validated, its inputs in memory. */
export interface Call {
  readonly chain: Chain;
  readonly model: Model | undefined;
  readonly inputs: readonly NamedTensor[];
  readonly outputBytesMax: number;
  /** Where outputs may be laid. */
  readonly into?: Uint8Array | undefined;
  /** Outputs stay where they are made. */
  readonly keeps?: boolean | undefined;
  readonly preference: Preference;
  readonly priority: number;
  readonly deadlineAt: number | undefined;
  readonly tenant: string;
  /** The tenant's share of device time. */
  readonly weight: number;
  readonly cancellation: Cancellation;
  /** When the caller made the call, on the runtime's clock. */
  readonly startedAt: number;
  /** When its inputs were there. */
  readonly readyAt: number;
}

export interface CallOutcome {
  readonly outputs: readonly NamedTensor[];
  readonly report: CallReport;
}

/** Whose call it is. One of the two is called, once. */
export interface CallListener {
  /** What it throws, the call fails with. */
  succeeded(outcome: CallOutcome): void;
  /**
   * @param reason the AxleError of the last plan tried, or the cancellation's reason.
   * @param isUsed whether a device still reads its inputs and may write `into`; `released` is called then.
   */
  failed(reason: unknown, isUsed: boolean): void;
  /** No device uses the memory of a failed call any more. */
  released?(): void;
}

/** What executing calls takes. */
export interface DispatchParts {
  readonly router: Router;
  readonly costs: CostModel;
  readonly breaker: CircuitBreaker;
  /** Told of each failure of what a device was given. */
  readonly deviceFailed: (device: Device, error: unknown) => void;
  readonly models: ModelStore;
  readonly queueOf: (segment: Segment) => DeviceQueue;
  readonly clock: Clock;
  readonly uses: DeviceUses;
}

/** Executes calls: takes the router's plans in order until one gives a result. */
export class Dispatch {
  constructor(private readonly parts: DispatchParts) {}

  start(call: Call, listener: CallListener): void {
    new CallExecution(this.parts, call, listener).start();
  }

  /** As `open` of DirectCalls. */
  openDirect(
    session: Session,
    chain: Chain,
    preference: Preference,
    outputBytesMax: number,
    wire: (deviceId: string) => LaneWire,
    listener: DirectListener,
  ): DirectCalls | undefined {
    return DirectCalls.open(this.parts, session, chain, preference, outputBytesMax, wire, listener);
  }

  /**
   * Loads the model where its first call would run, also where that failed a short while ago.
   *
   * @returns the model on that device; undefined for a chain that runs none.
   */
  async prefetch({
    chain,
    model,
    preference,
    cancellation,
    tenant,
  }: Pick<Call, 'chain' | 'model' | 'preference' | 'cancellation' | 'tenant'>): Promise<
    LoadedModel | undefined
  > {
    const { router, models } = this.parts;
    const [plan] = router.plans(chain, model, preference, undefined);
    if (model === undefined) return undefined;
    let loaded: LoadedModel | undefined;
    for (const { usesModel, backend, device } of plan?.segments ?? []) {
      if (!usesModel) continue;
      loaded = await cancellation.race(models.prefetch(backend, device, model, tenant));
    }
    return loaded;
  }
}
