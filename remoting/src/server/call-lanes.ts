import {
  directCallsMode,
  type DirectCalls,
  type LaneAnswers,
  type LaneListener,
} from '@axle/core/internal';

import { headerBytes, readUint64 } from '../wire/numbers.js';
import type { Binding } from './binding.js';

/** Calls of a binding that go the ordinary way before others may go past it: what they cost is learned from them. */
const callsBefore = 64;
const callsFirst = directCallsMode() === 'early' ? 1 : callsBefore;
/** Runs of handles that are remembered, for what names their outputs all the same. */
const runsMax = 256;

type TakenCalls = DirectCalls['taken'];

/** The connection, as its lanes see it. */
export interface LaneHost {
  /** @throws AxleError as core does */
  openDirect(
    binding: Binding,
    handle: number,
    listener: LaneListener,
  ): DirectCalls | undefined;
  /** Calls of the binding are over: RESULTs to be sent, and CALLs to be run in the ordinary way. */
  directAnswered(binding: Binding, answers: LaneAnswers): void;
}

/** Calls of one binding that go past the connection. */
export class BindingLane implements LaneListener {
  /** Undefined: they cannot, or not yet. */
  calls: DirectCalls | undefined = undefined;
  private ordinary = 0;
  /** Not answered. */
  inFlight = 0;
  /** Of their inputs. */
  inputBytes = 0;
  /** What is under way is still answered. */
  private isReleased = false;

  constructor(
    private readonly host: LaneHost,
    private readonly binding: Binding,
    /** Its handle. */
    private readonly handle: number,
    /** Told once it is released and has no calls under way. */
    private readonly onIdle: () => void,
  ) {}

  /** Its binding stands for nothing any more. */
  release(): void {
    this.isReleased = true;
    this.calls?.end();
    if (this.inFlight === 0) this.onIdle();
  }

  /** A call of it goes the ordinary way. */
  countOrdinary(): void {
    this.ordinary += 1;
    if (this.ordinary !== callsFirst) return;
    this.calls = this.host.openDirect(this.binding, this.handle, this);
  }

  answered(answers: LaneAnswers): void {
    this.inFlight -= answers.results + answers.returned;
    this.inputBytes -= answers.inputBytes;
    if (this.isReleased && this.inFlight === 0) this.onIdle();
    this.host.directAnswered(this.binding, answers);
  }
}

/** What of one connection's CALLs goes past it: see DirectCalls of core. */
export class CallLanes {
  private readonly byBinding = new Map<number, BindingLane>();
  private last: BindingLane | undefined = undefined;
  private lastBinding = 0;
  /** First and last handles of runs of calls, in turn. */
  private readonly runs = new Float64Array(2 * runsMax);
  private nextRun = 0;

  constructor(private readonly host: LaneHost) {}

  /** Calls that are not answered. */
  get inFlight(): number {
    let calls = 0;
    for (const lane of this.byBinding.values()) calls += lane.inFlight;
    return calls;
  }

  /** The lane that the CALL which begins at `at` may take; its payload may be cut. */
  at(view: DataView, at: number): BindingLane | undefined {
    const start = at + headerBytes;
    if (this.byBinding.size === 0 || view.byteLength < start + 8) return undefined;
    const binding = readUint64(view, start);
    if (binding === undefined) return undefined;
    if (binding !== this.lastBinding) {
      this.lastBinding = binding;
      this.last = this.byBinding.get(binding);
    }
    return this.last?.calls && this.last;
  }

  countOrdinary(binding: Binding, handle: number): void {
    let lane = binding.lane;
    if (lane === undefined) {
      lane = new BindingLane(this.host, binding, handle, () => {
        this.byBinding.delete(handle);
      });
      binding.lane = lane;
      this.byBinding.set(handle, lane);
      this.lastBinding = 0;
    }
    lane.countOrdinary();
  }

  /** The lane took calls of handles from `first` on. */
  took(lane: BindingLane, { calls, inputBytes, lastHandle: last }: TakenCalls, first: number): void {
    lane.inFlight += calls;
    lane.inputBytes += inputBytes;
    this.runs[this.nextRun] = first;
    this.runs[this.nextRun + 1] = last;
    this.nextRun = (this.nextRun + 2) % this.runs.length;
  }

  /** Whether it is the handle of a call that went past not long ago. */
  has(handle: number): boolean {
    const { runs } = this;
    for (let i = 0; i < runs.length; i += 2) {
      if (handle >= (runs[i] as number) && handle <= (runs[i + 1] as number) && handle > 0) {
        return true;
      }
    }
    return false;
  }

  /** Nobody waits for the call any more. @returns the bytes of its inputs; undefined: it is not under way here */
  forget(handle: number): number | undefined {
    for (const lane of this.byBinding.values()) {
      if (lane.inFlight === 0) continue;
      const bytes = lane.calls?.forget(handle);
      if (bytes === undefined) continue;
      lane.inFlight -= 1;
      lane.inputBytes -= bytes;
      return bytes;
    }
    return undefined;
  }

  /** The connection has ended: nothing is answered. @returns what was under way */
  abandon(): { readonly calls: number; readonly inputBytes: number } {
    let [calls, inputBytes] = [0, 0];
    for (const lane of this.byBinding.values()) {
      calls += lane.inFlight;
      inputBytes += lane.inputBytes;
      lane.calls?.abandon(lane.inFlight);
    }
    this.byBinding.clear();
    return { calls, inputBytes };
  }
}
