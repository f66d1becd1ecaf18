import {
  AxleError,
  type CallOutcome,
  type CallRequest,
  type CallWork,
  type Cancellation,
  type Model,
  type NamedTensor,
  type Tensor,
  type TraceContext,
} from '@axle/core/internal';

import { guestArena, guestMemoryOf } from '../shared-memory/guest-memory.js';
import { arenaOf } from '../shared-memory/server-arena.js';
import { followingBytes, IncomingTensors, inputBytes, sharedBytes } from '../tensors/incoming.js';
import { omittedTensors, OutgoingTensors, type SharedRoom } from '../tensors/outgoing.js';
import { decodeData } from '../wire/decode-frame.js';
import type { CallFrame, HandleTensor, Place, ResultFrame, SharedTensor } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { fromWireUs, toWireUs } from '../wire/time.js';
import { WireError } from '../wire/wire-error.js';
import { Binding } from './binding.js';
import { mayHaveRun } from './client-record.js';
import type { FailedBefore } from './failed-before.js';
import type { Front } from './front.js';
import type { RequestTold } from './held.js';
import { Future } from './future.js';
import type { KeptCall } from './kept-call.js';
import { withLabels } from './labels.js';
import { batchSizeMax, reportRecords } from './report-records.js';
import { checkRoom } from './room.js';
import { bytesOf, outputAt, TensorHolder } from './tensor-holder.js';
import type { Turns } from './turns.js';

const noReport = { steps: [], fallbacks: [] };

/** An input that another handle keeps. */
interface NamedInput {
  /** In the list of inputs. */
  readonly at: number;
  readonly name: string;
  readonly kept: Future<readonly NamedTensor[]>;
  readonly output: number;
  readonly handle: number;
}

/** A CALL that is under way: its inputs come, what it names gets ready, then core has it. */
export class ServerCall extends TensorHolder implements CallWork<undefined> {
  readonly id: number;
  private readonly priority: number;
  private readonly omits: boolean;
  private readonly trace: TraceContext | undefined;
  private readonly incoming = new IncomingTensors(false);
  /** Inputs that are kept here, rising. */
  private named: NamedInput[] | undefined = undefined;
  /** On the runtime's clock. */
  private readonly deadlineAt: number | undefined;
  /** Of inputs that come behind the frame, until they are there. */
  private bytesDue = 0;
  /** Of its inputs in shared memory, until it is answered. */
  private bytesShared = 0;
  /** Shared memory for its outputs. */
  private readonly place: Place | undefined;
  /** That memory, where the device may write to it. */
  private into: Uint8Array | undefined = undefined;
  /** A device has shared memory, which is the client's again once the call is answered. */
  private isUsed = false;
  /** Why it failed meanwhile. */
  private heldBack: { readonly reason: unknown } | undefined = undefined;
  /** Charged to the tenant until it is answered. */
  private bytesCharged = 0;
  /** Things that it names and that are not there yet. */
  private awaited = 0;
  private lateTimer: NodeJS.Timeout | undefined = undefined;
  /** Of its binding, where calls of that go one after another. */
  private readonly turns: Turns | undefined;
  /** Once core has it. */
  private cancellation: Cancellation | undefined = undefined;

  private constructor(
    front: Front,
    { id, deadlineUs, priority, keep, omit, trace, place }: CallFrame,
    private readonly binding: Binding,
    /** Of an op that must not run twice, for a client that may come back. */
    private readonly remembered: KeptCall | undefined,
  ) {
    super(front, keep ? new Future<readonly NamedTensor[]>() : undefined);
    this.id = id;
    this.priority = priority;
    this.omits = omit;
    this.trace = trace;
    this.place = place;
    this.deadlineAt = deadlineUs === 0 ? undefined : front.runtime.clock() + fromWireUs(deadlineUs);
    this.turns = binding.turns;
  }

  /** Answers CALL. @throws AxleError as the call is to fail; WireError HANDLE_UNKNOWN */
  static begin(front: Front, frame: CallFrame): Binding {
    const { binding } = frame;
    const named = front.named(binding);
    if (!(named instanceof Binding)) throw front.notThere(binding, 'binding');
    ServerCall.beginOf(named, front, frame);
    return named;
  }

  /** The same, of a binding that may be released. @throws AxleError as the call is to fail; WireError HANDLE_UNKNOWN */
  static beginOf(named: Binding, front: Front, frame: CallFrame): void {
    const { id } = frame;
    const remembered = named.isRepeatable ? undefined : remember(front, frame);
    if (remembered === 'replayed') return;
    checkRoom(front, followingBytes(frame.inputs) + sharedBytes(frame.inputs));
    front.tenant.admitCall();
    const call = new ServerCall(front, frame, named, remembered);
    front.hold(id, call);
    call.turns?.enter(call);
    call.receive(frame);
  }

  override get told(): RequestTold {
    const { binding, trace, bytesCharged } = this;
    return {
      op: binding.opName,
      model: binding.model?.value?.name,
      bytesIn: bytesCharged,
      traceId: trace && Buffer.from(trace.traceId).toString('hex'),
    };
  }

  get knownModel(): Model | undefined {
    return this.binding.model?.value;
  }

  override onData(raw: RawFrame): void {
    const { front, id, incoming } = this;
    const { data, end } = decodeData(raw);
    if (end) throw new WireError('WRONG_STATE', 'DATA with END');
    incoming.take(data);
    front.usedData(id, raw.end - raw.start);
    if (!incoming.isComplete) return;
    front.forgetData(id);
    this.startIfReady();
  }

  override cancel(reason: AxleError): void {
    if (this.cancellation === undefined) this.front.fail(this.id, reason);
    else this.cancellation.cancel(reason);
  }

  override onFailed(error: FailedBefore): void {
    super.onFailed(error);
    this.over();
  }

  override close(): void {
    super.close();
    // What has begun and must not run twice runs to its end, connection or not.
    if (this.remembered?.hasBegun === true) this.nothingDue();
    else this.over();
    this.front.bytesDue -= this.bytesShared;
    this.bytesShared = 0;
    this.front.tenant.usage.give('requestBytes', this.bytesCharged);
    this.bytesCharged = 0;
  }

  prepare(cancellation: Cancellation): CallRequest {
    const { binding, front, incoming, named } = this;
    this.remembered?.begin(cancellation);
    const model = binding.model?.value;
    const { limits } = front.session;
    const { outputBytesMax } = binding;
    const bytesMax = limits.outputBytesMax;
    return {
      chain: binding.chainWith(model, limits.topKMax),
      model,
      inputs: named === undefined ? incoming.read() : withNamed(incoming.read(), named),
      into: this.into,
      outputBytesMax: outputBytesMax === 0 ? bytesMax : Math.min(outputBytesMax, bytesMax),
    };
  }

  shape(outcome: CallOutcome): undefined {
    const { front, id, binding, omits, kept, remembered } = this;
    const { outputs } = outcome;
    if (kept !== undefined) this.keep(bytesOf(outputs));
    if (remembered === undefined) {
      this.send(outcome);
    } else {
      remembered.settle((current) => {
        // The memory of a connection ends with it.
        const isHere = current === front && this.place?.arena !== guestArena;
        const place = isHere ? this.place : undefined;
        sendResult(current, id, binding, outcome, omits, false, place);
      }, bytesOf(outputs));
    }
    this.over();
    return undefined;
  }

  private send(outcome: CallOutcome): void {
    const { front, id, binding, omits, kept, place } = this;
    const keeps = kept !== undefined;
    if (place?.arena !== guestArena || omits) {
      sendResult(front, id, binding, outcome, omits, keeps, place);
      kept?.settle(outcome.outputs);
      return;
    }
    const writer = guestMemoryOf(front).writer(place);
    const { result, following } = resultOf(front, id, binding, outcome, omits, writer);
    const failed = (error: unknown) => {
      if (this.isOpen) front.fail(id, error);
    };
    const answer = () => {
      // Meanwhile the connection may have ended.
      if (!this.isOpen) return;
      front.answer(result, following, keeps);
      kept?.settle(outcome.outputs);
    };
    try {
      const pending = writer.flush();
      if (pending === undefined) answer();
      else pending.then(answer, failed);
    } catch (error) {
      failed(error);
    }
  }

  private receive({ inputs }: CallFrame): void {
    const { front, id, binding } = this;
    const bytes = inputBytes(inputs);
    front.tenant.usage.take('requestBytes', bytes);
    this.bytesCharged = bytes;
    this.bytesShared = sharedBytes(inputs);
    front.bytesDue += this.bytesShared;
    // Told now rather than when there are results.
    if (this.place !== undefined) this.into = this.memoryAt(this.place);
    for (const input of inputs) {
      const name = binding.inputNames[input.slot] ?? '';
      if (input.source === 'SHARED') this.addShared(input, name);
      else if (input.source === 'HANDLE') this.addNamed(input, inputs.indexOf(input), name);
      else this.incoming.add(input, name);
    }
    if (!this.incoming.isComplete) {
      this.bytesDue = followingBytes(inputs);
      front.bytesDue += this.bytesDue;
      front.expectData(id);
    }
    if (binding.model !== undefined) this.await(binding.model);
    this.startIfReady();
    if (this.cancellation === undefined && !this.isAnswered) this.limitWait();
  }

  /** What the device writes may be kept for other calls and connections: then it goes to the place from there. */
  private memoryAt(place: Place): Uint8Array | undefined {
    if (place.arena === guestArena) {
      guestMemoryOf(this.front).check(place);
      return undefined;
    }
    const memory = arenaOf(this.front).view(place);
    const stays = this.kept !== undefined || this.remembered !== undefined || this.omits;
    // Labels are found by what is in the outputs.
    return stays || this.binding.labels ? undefined : memory;
  }

  private addShared(input: SharedTensor, name: string): void {
    if (input.arena === guestArena) {
      this.addFromGuest(input, name);
      return;
    }
    const arena = arenaOf(this.front);
    // What is parsed is copied before it is looked at.
    if (input.dtype === 'BYTES') this.incoming.addShared(input, name, arena.copy(input));
    else this.incoming.addShared(input, name, arena.view(input), true);
  }

  /** A private copy, whatever is done with it. */
  private addFromGuest(input: SharedTensor, name: string): void {
    const memory = guestMemoryOf(this.front);
    // Before memory is taken for it.
    memory.check(input);
    const data = Buffer.allocUnsafeSlow(input.bytes);
    this.incoming.addShared(input, name, data);
    const pending = memory.read(input.offset, data);
    if (pending === undefined) return;
    this.awaited += 1;
    pending.then(
      () => {
        this.awaited -= 1;
        if (this.isOpen) this.startIfReady();
      },
      (error: unknown) => {
        if (this.isOpen) this.front.fail(this.id, error);
      },
    );
  }

  private addNamed({ handle, output }: HandleTensor, at: number, name: string): void {
    const { front } = this;
    const held = handle === this.id ? undefined : front.named(handle);
    if (front.wasNotKept(handle) || (held instanceof ServerCall && held.kept === undefined)) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        `call ${handle} does not keep its outputs; make it with KEEP`,
      );
    }
    const kept = held instanceof TensorHolder ? held.kept : undefined;
    if (kept === undefined) throw front.notThere(handle, 'tensor');
    (this.named ??= []).push({ at, name, kept, output, handle });
    this.await(kept);
  }

  /** Until core has it, its deadline is nobody else's business. */
  private limitWait(): void {
    const { deadlineAt, front, id } = this;
    if (deadlineAt === undefined) return;
    const late = () => {
      front.fail(
        id,
        AxleError.expected(
          'DEADLINE_EXCEEDED',
          'the deadline passed before all that the call works on was there',
        ),
      );
    };
    this.lateTimer = setTimeout(late, Math.max(0, deadlineAt - front.runtime.clock()));
  }

  /** What it names must be there before it starts; if that fails, so does this. */
  private await<T>(thing: Future<T>): void {
    if (thing.value !== undefined) return;
    this.awaited += 1;
    thing.when(
      () => {
        this.awaited -= 1;
        this.startIfReady();
      },
      (error) => {
        if (!this.isAnswered) this.front.fail(this.id, error);
      },
    );
  }

  startIfReady(): void {
    if (this.awaited > 0 || this.isAnswered || !this.incoming.isComplete) return;
    if (this.cancellation !== undefined || this.turns?.isNext(this) === false) return;
    this.nothingDue();
    const { front, binding, deadlineAt, priority } = this;
    const leftMs = deadlineAt === undefined ? undefined : deadlineAt - front.runtime.clock();
    const failed = (reason: unknown) => {
      this.failed(reason);
    };
    try {
      const options = binding.options(leftMs, priority);
      const { session } = front;
      const { opName } = binding;
      this.cancellation = session.startPublished(opName, this.trace, options, this, ignore, failed);
    } catch (error) {
      failed(error);
    }
  }

  used(): void {
    this.isUsed = this.bytesShared > 0 || this.into !== undefined;
  }

  released(): void {
    this.isUsed = false;
    const { heldBack } = this;
    this.heldBack = undefined;
    if (heldBack !== undefined) this.failed(heldBack.reason);
  }

  private failed(reason: unknown): void {
    if (this.isUsed) {
      this.heldBack = { reason };
      return;
    }
    const { front, id, remembered } = this;
    if (remembered?.hasBegun !== true) front.fail(id, reason);
    else {
      remembered.settle((current) => {
        current.fail(id, reason);
      }, 0);
      this.over();
    }
  }

  /** Nothing is done for it any more. */
  private over(): void {
    this.nothingDue();
    this.turns?.leave(this);
  }

  private nothingDue(): void {
    clearTimeout(this.lateTimer);
    this.front.bytesDue -= this.bytesDue;
    this.bytesDue = 0;
  }
}

/**
 * What is to be remembered of a call that must not run twice. Outputs that stay here are not: they end with the connection.
 *
 * @throws AxleError ABORTED, outcome unknown
 */
function remember(front: Front, frame: CallFrame): KeptCall | 'replayed' | undefined {
  const { client } = front;
  if (frame.replay) {
    if (client === undefined || frame.keep) throw mayHaveRun();
    if (client.replay(front, frame)) return 'replayed';
  }
  return frame.keep ? undefined : client?.accept(frame.id, front);
}

/** Answers a call of which nothing stays here. */
export function answerCall(front: Front, id: number, binding: Binding, outcome: CallOutcome): void {
  sendResult(front, id, binding, outcome, false, false, undefined);
}

function sendResult(
  front: Front,
  id: number,
  binding: Binding,
  outcome: CallOutcome,
  omits: boolean,
  keeps: boolean,
  place: Place | undefined,
): void {
  const shared = place && arenaOf(front).writer(place, outcome.outputs);
  const { result, following } = resultOf(front, id, binding, outcome, omits, shared);
  front.answer(result, following, keeps);
}

function resultOf(
  front: Front,
  id: number,
  binding: Binding,
  { outputs, report }: CallOutcome,
  omits: boolean,
  shared: SharedRoom | undefined,
): { readonly result: ResultFrame; readonly following: readonly Tensor[] } {
  const { queue, transfer, compute, total } = report.timingMs;
  const told = binding.labels ? withLabels(outputs, binding.model?.value) : outputs;
  const { records, following, room } = omits
    ? omittedTensors(told, binding.names, front.payloadMax)
    : new OutgoingTensors(told, binding.names, front.payloadMax, shared);
  const { steps, fallbacks } = binding.steps
    ? reportRecords(front, report, binding.range, room)
    : noReport;
  const result: ResultFrame = {
    type: 'RESULT',
    id,
    queueUs: toWireUs(queue),
    transferUs: toWireUs(transfer),
    computeUs: toWireUs(compute),
    totalUs: toWireUs(total),
    batchSize: Math.min(report.steps[0]?.batchSize ?? 1, batchSizeMax),
    device: front.deviceIndexOf(report.device),
    outputs: records,
    steps,
    fallbacks,
  };
  return { result, following };
}

/** The inputs that came and those that are kept here, in order. */
function withNamed(came: readonly NamedTensor[], named: readonly NamedInput[]): NamedTensor[] {
  const inputs = [...came];
  for (const { at, name, kept, output, handle } of named) {
    inputs.splice(at, 0, { name, tensor: outputAt(kept.value ?? [], output, handle) });
  }
  return inputs;
}

const ignore = () => undefined;
