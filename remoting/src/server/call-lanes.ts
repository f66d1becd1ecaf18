import {
  AxleError,
  directCallsMode,
  type CallOutcome,
  type DirectCalls,
  type DirectListener,
  type LaneAnswers,
  type Runtime,
  type Session,
} from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';
import type { Tenant } from '../trust/tenants.js';
import { FrameSplitter, type RawFrame } from '../wire/frame-splitter.js';
import { headerBytes, readUint64 } from '../wire/numbers.js';
import type { Binding } from './binding.js';

/** Calls of a binding that go the ordinary way before others may go past it: what they cost is learned from them. */
const callsBefore = directCallsMode() === 'early' ? 1 : 64;
/** Runs of handles that are remembered, for what names their outputs all the same. */
const runsMax = 256;
/** Of the one input of ops whose inputs have no names. */
const positional = [''];

/** The connection that calls go past. */
export interface LaneHost {
  readonly runtime: Runtime;
  readonly session: Session;
  readonly tenant: Tenant;
  /** Longest payload that the client takes. */
  readonly payloadMax: number;
  /** Whether any may go now. */
  readonly letsCallsPast: boolean;
  /** Handles that may be opened besides those that are. */
  readonly handleRoom: number;
  /** The highest that was made. */
  readonly lastHandle: number;
  deviceIndexOf(deviceId: string): number;
  /** So many handles were made, the highest of them `last`, that are to be answered. */
  madeElsewhere(last: number, calls: number): void;
  /** Sends RESULTs, which are valid until the next turn, of so many of them. */
  answeredElsewhere(results: Uint8Array, calls: number): void;
  /** One of them goes the ordinary way from its beginning. */
  runAgain(binding: Binding, raw: RawFrame): void;
  /** One of them is answered by itself. */
  settledElsewhere(binding: Binding, id: number, outcome: CallOutcome | AxleError): void;
}

/** Calls of one binding that go past the connection. */
export class BindingLane implements DirectListener {
  /** Undefined: they cannot, or not yet. */
  calls: DirectCalls | undefined = undefined;
  /** Not answered. */
  inFlight = 0;
  /** Of their inputs. */
  inputBytes = 0;
  private ordinary = 0;
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
    if (this.ordinary !== callsBefore) return;
    try {
      this.calls = this.open();
    } catch (error) {
      // Then they go the ordinary way, which says what is wrong.
      if (!(error instanceof AxleError)) throw error;
    }
  }

  answered({ results, frames, returned, returnedFrames, inputBytes }: LaneAnswers): void {
    const { host, binding } = this;
    const { usage } = host.tenant;
    this.inFlight -= results + returned;
    this.inputBytes -= inputBytes;
    usage.give('handles', results + returned);
    usage.give('requestBytes', inputBytes);
    usage.give('calls', results);
    if (this.isReleased && this.inFlight === 0) this.onIdle();
    if (results > 0) host.answeredElsewhere(frames, results);
    if (returned === 0) return;
    // Views of it stay.
    new FrameSplitter('client').push(Buffer.from(returnedFrames), (raw) => {
      host.runAgain(binding, raw);
    });
  }

  settled(handle: number, inputBytes: number, outcome: CallOutcome | AxleError): void {
    const { host, binding } = this;
    this.inFlight -= 1;
    this.inputBytes -= inputBytes;
    host.tenant.usage.give('handles', 1);
    host.tenant.usage.give('requestBytes', inputBytes);
    if (this.isReleased && this.inFlight === 0) this.onIdle();
    host.settledElsewhere(binding, handle, outcome);
  }

  private open(): DirectCalls | undefined {
    const { host, binding, handle } = this;
    const { session, runtime, payloadMax } = host;
    const { outputBytesMax, inputNames, names: namesOutputs, preference } = binding;
    const { limits } = session;
    return runtime.dispatch.openDirect(
      session,
      binding.chainWith(undefined, limits.topKMax),
      preference,
      outputBytesMax === 0
        ? limits.outputBytesMax
        : Math.min(outputBytesMax, limits.outputBytesMax),
      (deviceId) => ({
        binding: handle,
        payloadMax,
        deviceIndex: host.deviceIndexOf(deviceId),
        namesOutputs,
        inputNames: inputNames.length > 0 ? inputNames : positional,
      }),
      this,
    );
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

  /** A call of the binding goes the ordinary way. @param handle of the binding */
  countOrdinary(binding: Binding, handle: number): void {
    let { lane } = binding;
    if (lane === undefined) {
      lane = new BindingLane(this.host, binding, handle, () => {
        this.byBinding.delete(handle);
        this.lastBinding = 0;
      });
      binding.lane = lane;
      this.byBinding.set(handle, lane);
      this.lastBinding = 0;
    }
    lane.countOrdinary();
  }

  /** As `takeCalls` of a connection's handler. */
  take(memory: Buffer, view: DataView, at: number): number {
    const lane = this.laneAt(view, at);
    if (lane?.calls === undefined || !this.host.letsCallsPast) return 0;
    const { host } = this;
    const first = host.lastHandle + 1;
    const bytes = lane.calls.take(memory, at, this.room, host.lastHandle);
    if (bytes === 0) return 0;
    const { calls, inputBytes, lastHandle } = lane.calls.taken;
    lane.inFlight += calls;
    lane.inputBytes += inputBytes;
    this.runs[this.nextRun] = first;
    this.runs[this.nextRun + 1] = lastHandle;
    this.nextRun = (this.nextRun + 2) % this.runs.length;
    host.madeElsewhere(lastHandle, calls);
    const { usage } = host.tenant;
    usage.add('calls', calls);
    usage.add('handles', calls);
    usage.add('requestBytes', inputBytes);
    return bytes;
  }

  /** Whether it is the handle of a call that went past not long ago. */
  has(handle: number): boolean {
    const { runs } = this;
    for (let i = 0; i < runs.length; i += 2) {
      if (handle >= (runs[i] as number) && handle <= (runs[i + 1] as number)) return true;
    }
    return false;
  }

  /** Nobody waits for the call any more. @returns whether it was under way here */
  forget(handle: number): boolean {
    for (const lane of this.byBinding.values()) {
      const bytes = lane.inFlight === 0 ? undefined : lane.calls?.forget(handle);
      if (bytes === undefined) continue;
      lane.inFlight -= 1;
      lane.inputBytes -= bytes;
      this.give(1, bytes);
      return true;
    }
    return false;
  }

  /** The connection has ended: nothing is answered. */
  abandon(): void {
    for (const lane of this.byBinding.values()) {
      this.give(lane.inFlight, lane.inputBytes);
      lane.calls?.abandon(lane.inFlight);
    }
    this.byBinding.clear();
  }

  /** The lane of the CALL that begins at `at`; its payload may be cut. */
  private laneAt(view: DataView, at: number): BindingLane | undefined {
    const start = at + headerBytes;
    if (this.byBinding.size === 0 || view.byteLength < start + 8) return undefined;
    const binding = readUint64(view, start);
    if (binding === undefined) return undefined;
    if (binding !== this.lastBinding) {
      this.lastBinding = binding;
      this.last = this.byBinding.get(binding);
    }
    return this.last;
  }

  /** Calls that the quotas of the tenant and the limits of the connection have room for. */
  private get room(): number {
    const { host } = this;
    const { usage } = host.tenant;
    let room = host.handleRoom;
    for (const lane of this.byBinding.values()) room -= lane.inFlight;
    return Math.min(
      room,
      usage.left('calls'),
      usage.left('handles'),
      Math.floor(usage.left('requestBytes') / wireLimits.payloadBytesMax),
    );
  }

  private give(handles: number, inputBytes: number): void {
    const { usage } = this.host.tenant;
    usage.give('handles', handles);
    usage.give('requestBytes', inputBytes);
  }
}
