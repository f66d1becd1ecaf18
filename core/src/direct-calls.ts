import type { TaskOutcome } from './backend.js';
import { callChannel } from './call-channel.js';
import type { CallOutcome, DispatchParts } from './dispatch.js';
import type { AxleError } from './errors.js';
import type { Lane, LaneAnswers, LaneListener, LaneWire } from './native-lanes.js';
import type { Chain } from './plans/chain.js';
import type { Preference, Segment } from './plans/router.js';
import type { DeviceQueue } from './scheduling/device-queue.js';
import type { Session } from './session.js';
import { taskPublisher } from './task-channel.js';

/** Whoever has the connection that the calls came over. */
export interface DirectListener {
  answered(answers: LaneAnswers): void;
  /** One is over by itself. @param outcome what it gave, or why it failed */
  settled(handle: number, inputBytes: number, outcome: CallOutcome | AxleError): void;
}

/** After so many calls one goes the ordinary way, by which devices are chosen, measured and tried again. */
const callsInARow = 256;

/**
 * Calls of one kind that go from a connection's bytes to a device and back without an object for each: those of one op
 * that is cheap and may run twice, on the one device that would get them. Which of them may, its scheduler says each time;
 * what does not go this way goes the other, and so does what fails.
 */
export class DirectCalls implements LaneListener {
  private readonly lane: Lane | undefined;
  private readonly queue: DeviceQueue;
  /** Calls that the device has, those that were forgotten too. */
  private inFlight = 0;
  /** Since when there was always a call in flight. */
  private busySince = 0;
  private leftInARow = callsInARow;
  /** The binding is closed: what is under way is answered, and then the lane goes. */
  private ending = false;
  private closed = false;

  private constructor(
    private readonly parts: DispatchParts,
    private readonly session: Session,
    private readonly segment: Segment,
    private readonly listener: DirectListener,
    lane: (listener: LaneListener) => Lane | undefined,
  ) {
    this.queue = parts.queueOf(segment);
    this.lane = lane(this);
  }

  /** Undefined where calls of the chain cannot go this way. @throws as the router and the addon do */
  static open(
    parts: DispatchParts,
    session: Session,
    chain: Chain,
    preference: Preference,
    outputBytesMax: number,
    wire: (deviceId: string) => LaneWire,
    listener: DirectListener,
  ): DirectCalls | undefined {
    const plans = parts.router.plans(chain, undefined, preference, undefined);
    const [segment, ...others] = plans[0]?.segments ?? [];
    if (segment === undefined || plans.length > 1 || others.length > 0) return undefined;
    const { backend, device, range, args, policy } = segment;
    if (!segment.repeatable || segment.usesModel) return undefined;
    const { delayMs, instances, preserveOrdering, queueMax, itemsMax } = policy;
    if (delayMs > 0 || instances > 0 || preserveOrdering || queueMax > 0) return undefined;
    const itsWire = wire(device.id);
    const caller = { tenant: session.tenant, preference };
    const direct = new DirectCalls(parts, session, segment, listener, (itself) =>
      backend.openLane?.(device, range, args, outputBytesMax, itemsMax, itsWire, itself, caller),
    );
    return direct.lane === undefined ? undefined : direct;
  }

  /**
   * Takes CALLs as they lie in `bytes`, as many as may go now.
   *
   * @param callsMax what the connection allows
   * @returns their bytes; 0 = none. `taken` says what they were.
   */
  take(bytes: Buffer, at: number, callsMax: number, handleMin: number): number {
    const { lane } = this;
    if (lane === undefined || this.ending || this.isWatched) return 0;
    if (this.leftInARow <= 0) {
      this.leftInARow = callsInARow;
      return 0;
    }
    const { session, segment, queue } = this;
    const { bySize } = segment.cost;
    const expectedMs = bySize.count > 0 ? bySize.expectedWithinMs(undefined) : undefined;
    const room = Math.min(
      callsMax,
      session.callsLeft,
      queue.directRoom(session.tenant, expectedMs),
    );
    if (room <= 0) return 0;
    const taken = lane.take(bytes, at, room, handleMin);
    if (taken === 0) return 0;
    const { calls } = lane;
    if (this.inFlight === 0) this.busySince = this.parts.clock();
    this.leftInARow -= calls;
    this.inFlight += calls;
    session.directCalls += calls;
    queue.directBegan(calls);
    return taken;
  }

  /** Of the last `take` that took some. */
  get taken(): Pick<Lane, 'calls' | 'inputBytes' | 'lastHandle'> {
    return this.lane ?? noneTaken;
  }

  /** Somebody is told of each task. */
  private get isWatched(): boolean {
    const { uses } = this.parts;
    return (
      callChannel.hasSubscribers || taskPublisher() !== undefined || uses.listener !== undefined
    );
  }

  answered(answers: LaneAnswers): void {
    const { results, returned, inputBytes, forgotten } = answers;
    const { parts, segment, session, queue } = this;
    // As of other tasks, a device is not believed that a call took longer than it can have had it.
    const workMs = Math.min(answers.workMs, results * (parts.clock() - this.busySince));
    if (results > 0) {
      const timing = { transferMs: 0, computeMs: workMs / results, queueMs: 0, batchSize: 1 };
      parts.breaker.succeeded(segment.device);
      parts.costs.observe(segment.cost, inputBytes / (results + returned), timing);
    }
    const calls = results + returned;
    this.inFlight -= calls + forgotten;
    session.directCalls -= calls;
    queue.directEnded(calls + forgotten, session.tenant, session.weight, workMs);
    // One after another, until it is known what is the matter.
    if (returned > 0) this.leftInARow = 0;
    if (calls > 0) this.listener.answered(answers);
    this.closeIfIdle();
  }

  settled(handle: number, inputBytes: number, outcome: TaskOutcome): void {
    const { parts, segment, session, queue } = this;
    const { device, cost, label } = segment;
    let workMs = 0;
    if (outcome.ok) {
      workMs = outcome.timing.transferMs + outcome.timing.computeMs;
      parts.breaker.succeeded(device);
      parts.costs.observe(cost, inputBytes, outcome.timing);
    } else parts.deviceFailed(device, outcome.error);
    this.inFlight -= 1;
    session.directCalls -= 1;
    queue.directEnded(1, session.tenant, session.weight, workMs);
    if (outcome.ok) {
      const { queueMs: queued, transferMs: transfer, computeMs: compute } = outcome.timing;
      const timingMs = { queue: queued, transfer, compute };
      const { batchSize } = outcome.timing;
      const report = {
        device: device.id,
        steps: [{ step: label, device: device.id, timingMs, batchSize }],
        timingMs: { ...timingMs, total: queued + transfer + compute },
        fallbacks: [],
      };
      this.listener.settled(handle, inputBytes, { outputs: outcome.outputs, report });
    } else this.listener.settled(handle, inputBytes, outcome.error);
    this.closeIfIdle();
  }

  /**
   * Nobody waits for the call any more. Its device has it until it is done, and so long it counts there.
   *
   * @returns the bytes of its inputs; undefined: it is not one of these
   */
  forget(handle: number): number | undefined {
    if (this.inFlight === 0) return undefined;
    const bytes = this.lane?.forget(handle);
    if (bytes !== undefined) this.session.directCalls -= 1;
    return bytes;
  }

  /** Takes no more; what is under way is still answered. */
  end(): void {
    this.ending = true;
    this.closeIfIdle();
  }

  /** The same, and nothing is answered. @param calls that were not answered */
  abandon(calls: number): void {
    this.session.directCalls -= calls;
    this.lane?.forgetAll();
    this.end();
  }

  private closeIfIdle(): void {
    if (!this.ending || this.inFlight > 0 || this.closed) return;
    this.closed = true;
    this.lane?.close();
  }
}

const noneTaken = { calls: 0, inputBytes: 0, lastHandle: 0 };
