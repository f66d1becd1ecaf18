import { performance } from 'node:perf_hooks';

import {
  AxleError,
  type BackendTask,
  type NamedTensor,
  type TaskMaking,
  timesWithin,
  type TaskOutcome,
  type TaskTiming,
} from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';
import { opStepsOf } from '../op-names.js';
import { CallRanges } from '../shared-memory/call-ranges.js';
import { aligned } from '../shared-memory/ranges.js';
import { IncomingTensors } from '../tensors/incoming.js';
import { OutgoingTensors } from '../tensors/outgoing.js';
import { decodeData, decodeResult } from '../wire/decode-frame.js';
import type { CallFrame, ResultFrame } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { fromWireUs, toWireUs } from '../wire/time.js';
import { WireError } from '../wire/wire-error.js';
import type { Journalled } from './journal.js';
import { KeptHandle, KeptPlace } from './kept-place.js';
import { connectionLost, outcomeUnknown } from './lost-call.js';
import type { PendingAnswer } from './pending-answer.js';
import type { RemoteBinding } from './remote-binding.js';
import type { RemoteSession } from './remote-session.js';
import type { WireClient } from './wire-client.js';

/** A call that loses its connection more often may be what ends it, and is given up. */
const lossesMax = 8;
/** The same of one whose server ended and was started anew. */
const endsMax = 3;
/** From so many on it runs alone among those like it, so that the one that ends servers takes no others along. */
const endsOfSuspect = 2;

/** A task that is a CALL on a server, over as many connections as it takes. */
export class RemoteCall implements PendingAnswer, Journalled {
  private result: ResultFrame | undefined = undefined;
  private incoming: IncomingTensors | undefined = undefined;
  /** Where it is under way; undefined: it waits for a connection. */
  private client: WireClient | undefined = undefined;
  /** Which run of a server has heard of it; undefined: none has. */
  private sentTo: string | undefined = undefined;
  /** The same before its last connection. */
  private sentBefore: string | undefined = undefined;
  private sentAt = 0;
  /** Of shared memory, while it is under way. */
  private ranges: CallRanges | undefined = undefined;
  private losses = 0;
  /** Servers that ended while they had it. */
  private ends = 0;
  /** The last of them. */
  private endedBy: string | undefined = undefined;
  private isCancelled = false;
  /** It went as it came, and may be answered so. */
  private isHandedOn = false;

  constructor(
    private readonly session: RemoteSession,
    private handle: number,
    readonly task: BackendTask,
    readonly needs: RemoteBinding,
    private readonly devices: DeviceIds,
  ) {}

  get id(): number {
    return this.handle;
  }

  /** A connection has it. */
  get isUnderWay(): boolean {
    return this.client !== undefined;
  }

  /** No server has it, nor can one have begun it. */
  get isNeverSent(): boolean {
    return this.sentTo === undefined;
  }

  get isKept(): boolean {
    return !this.needs.isRepeatable;
  }

  /**
   * Whether it may be what ended the server twice.
   *
   * @param instance of the server that it would go to
   */
  isSuspect(instance: string | undefined): boolean {
    const { sentTo } = this;
    if (sentTo !== undefined && sentTo !== instance && sentTo !== this.endedBy) {
      this.endedBy = sentTo;
      this.ends += 1;
    }
    return this.ends >= endsOfSuspect;
  }

  /** @throws WireError for what does not go into a frame. */
  sendOn(client: WireClient): void {
    const { handle: id, task, sentTo } = this;
    const replay = sentTo !== undefined;
    if (replay && this.isKept && sentTo !== client.instance) {
      // Another server, or another run of it, cannot know what became of the call.
      this.onFailed(outcomeUnknown(anotherServer()));
      return;
    }
    if (this.ends >= endsMax) {
      this.onFailed(endsServers());
      return;
    }
    const now = performance.now();
    if (this.handOn(client)) {
      this.begun(client, now);
      return;
    }
    const ranges = client.arena && new CallRanges(client.arena);
    const { inputs, keeps = false } = task;
    const named = namedInputs(inputs);
    if (named?.some(({ handle }) => handle.client !== client) === true) {
      // Not within `submit`.
      queueMicrotask(() => {
        this.onFailed(keptElsewhere());
      });
      return;
    }
    const { records, following } = new OutgoingTensors(
      named === undefined ? inputs : bytesHere(inputs),
      false,
      wireLimits.payloadBytesMax,
      ranges,
    );
    if (!keeps) ranges?.takePlace(task.into, this.needs.outputBytes);
    this.ranges = ranges;
    this.ask(client, {
      type: 'CALL',
      id,
      keep: keeps,
      omit: keeps,
      replay,
      binding: this.needs.id,
      // 0 would be none.
      deadlineUs: task.deadlineAt === undefined ? 0 : Math.max(1, toWireUs(task.deadlineAt - now)),
      priority: task.priority,
      place: ranges?.place,
      trace: task.trace,
      inputs: named === undefined ? records : withNamed(records, named),
    });
    if (following.length > 0) client.sendTensors(id, following);
    this.begun(client, now);
  }

  cancel(): void {
    this.isCancelled = true;
    if (this.client === undefined) this.session.cancelWaiting(this);
    else this.client.cancel(this.handle);
  }

  onFrame(raw: RawFrame): boolean {
    if (raw.type === 'RESULT') return this.begin(decodeResult(raw), raw);
    if (raw.type === 'DATA' && this.incoming !== undefined) return this.take(raw, this.incoming);
    throw new WireError('WRONG_STATE', raw.type);
  }

  onFailed(error: AxleError): void {
    this.freeRanges();
    if (!this.needs.isGone) this.settle({ ok: false, error });
    else this.settle({ ok: false, error: deviceGone(error), neverBegan: true });
  }

  onLost(reason: AxleError, neverRan: boolean): void {
    this.client = undefined;
    this.isHandedOn = false;
    this.freeRanges();
    this.result = undefined;
    this.incoming = undefined;
    this.losses += 1;
    if (neverRan) this.sentTo = this.sentBefore;
    // Nobody waits for it: what was lost with the connection is not made again.
    if (this.isCancelled) this.onFailed(AxleError.expected('CANCELLED', 'the call was cancelled'));
    else if (this.losses > lossesMax) this.giveUp(reason);
    else this.session.wait(this);
  }

  /** No connection comes in the place of the one that was lost. */
  giveUp(reason: AxleError): void {
    const neverBegan = this.sentTo === undefined;
    const error = neverBegan || !this.isKept ? connectionLost(reason) : outcomeUnknown(reason);
    this.settle({ ok: false, error, neverBegan });
  }

  /**
   * Goes on under another number, where that of its lost connection is behind those in use.
   *
   * @returns whether it may: a server would not know it again.
   */
  renumber(): boolean {
    if (this.sentTo !== undefined && this.isKept) return false;
    this.handle = this.session.newHandle();
    return true;
  }

  private begun(client: WireClient, now: number): void {
    this.client = client;
    this.sentBefore = this.sentTo;
    this.sentTo = client.instance;
    this.sentAt = now;
  }

  /** Sends the call as it came, where it may go so: not a second time, nor where its outputs need shared memory. */
  private handOn(client: WireClient): boolean {
    const { asCame } = this.task;
    if (asCame === undefined || this.sentTo !== undefined || this.needs.outputBytes > 0)
      return false;
    this.isHandedOn = client.askAsCame(this.handle, this.needs.id, asCame, this);
    return this.isHandedOn;
  }

  private begin(result: ResultFrame, raw: RawFrame): boolean {
    if (this.result !== undefined) throw new WireError('WRONG_STATE', 'RESULT');
    if (this.isHandedOn && isWhole(result)) return this.endAsCame(result, raw);
    const incoming = new IncomingTensors(true);
    if (this.task.keeps === true) return this.beginKept(result, incoming);
    for (const output of result.outputs) {
      if (output.source === 'SHARED' && this.ranges !== undefined) {
        incoming.addShared(output, output.name, this.ranges.read(output));
      } else if (output.source === 'INLINE' || output.source === 'FOLLOWS') {
        incoming.add(output, output.name);
      } else {
        // Nothing was asked for that comes in another way.
        throw new WireError('WRONG_STATE', 'RESULT');
      }
    }
    this.freeRanges();
    this.needs.outputBytes = roomFor(result);
    this.result = result;
    this.incoming = incoming;
    if (!incoming.isComplete) this.client?.expectData(this.handle);
    return this.endIfComplete(incoming);
  }

  /** Of a call whose outputs stay there: nothing of them comes. */
  private beginKept(result: ResultFrame, incoming: IncomingTensors): boolean {
    const { client, handle: id, devices } = this;
    if (client === undefined) throw new WireError('WRONG_STATE', 'RESULT');
    const handle = new KeptHandle(client, id, result.outputs.length);
    for (const output of result.outputs) {
      if (output.source !== 'OMITTED') throw new WireError('WRONG_STATE', 'RESULT');
      const { bytes, slot, name } = output;
      incoming.addPlaced(output, name, new KeptPlace(devices.name, bytes, handle, slot));
    }
    this.freeRanges();
    this.result = result;
    this.incoming = incoming;
    return this.endIfComplete(incoming);
  }

  private ask(client: WireClient, frame: CallFrame): void {
    try {
      client.ask(frame, this);
    } catch (error) {
      this.freeRanges();
      throw error;
    }
  }

  private freeRanges(): void {
    this.ranges?.free();
    this.ranges = undefined;
  }

  private take(raw: RawFrame, incoming: IncomingTensors): boolean {
    const { data, end } = decodeData(raw);
    if (end) throw new WireError('WRONG_STATE', 'DATA with END');
    incoming.take(data);
    this.client?.usedData(this.handle, raw.end - raw.start);
    return this.endIfComplete(incoming);
  }

  private endIfComplete(incoming: IncomingTensors): boolean {
    if (!incoming.isComplete) return false;
    const result = this.result as ResultFrame;
    const now = performance.now();
    const wireMs = this.wireMs(result, now);
    const outputs = incoming.read();
    // Of one whose outputs stay the server remembers nothing else.
    if (this.isKept && this.task.keeps !== true) this.acknowledge(outputs);
    this.settle({
      ok: true,
      outputs,
      timing: this.timingOf(result, wireMs, now),
      settledAt: now,
      making: result.steps.length > 0 ? this.makingOf(result, wireMs) : undefined,
    });
    return true;
  }

  private endAsCame(result: ResultFrame, { memory, start, end }: RawFrame): boolean {
    const now = performance.now();
    this.settle({
      ok: true,
      outputs: noOutputs,
      timing: this.timingOf(result, this.wireMs(result, now), now),
      settledAt: now,
      asCame: { memory, start, end },
    });
    return true;
  }

  private wireMs({ totalUs }: ResultFrame, now: number): number {
    return Math.max(0, now - this.sentAt - fromWireUs(totalUs));
  }

  private timingOf(result: ResultFrame, wireMs: number, now: number): TaskTiming {
    const { queueUs, transferUs, computeUs, batchSize } = result;
    const queued = fromWireUs(queueUs);
    const transfer = fromWireUs(transferUs) + wireMs;
    const within = timesWithin(now - this.sentAt, queued, transfer, fromWireUs(computeUs));
    const { queueMs, transferMs, computeMs } = within;
    return { queueMs, transferMs, computeMs, batchSize };
  }

  private settle(outcome: TaskOutcome): void {
    this.task.settle(outcome);
    // One that waits its turn has none to hand on.
    if (this.ends >= endsOfSuspect && this.isUnderWay) this.session.suspectSettled();
  }

  private acknowledge(outputs: readonly NamedTensor[]): void {
    const bytes = outputs.reduce((sum, { tensor }) => sum + tensor.byteLength, 0);
    this.client?.acknowledge(this.handle, bytes);
  }

  private makingOf({ steps, fallbacks }: ResultFrame, wireMs: number): TaskMaking {
    const names = opStepsOf(this.task.range.op);
    return {
      steps: steps.map(({ first, last, device, batchSize, ...us }, i) => ({
        step: first === last ? (names[first] ?? '') : `${names[first]}..${names[last]}`,
        device: this.devices.deviceIdAt(device),
        batchSize,
        timingMs: {
          queue: fromWireUs(us.queueUs),
          transfer: fromWireUs(us.transferUs) + (i === 0 ? wireMs : 0),
          compute: fromWireUs(us.computeUs),
        },
      })),
      fallbacks: fallbacks.map(({ code, device, message }) => ({
        devices: [this.devices.deviceIdAt(device)],
        code,
        message,
      })),
    };
  }
}

/** Whether a result is nothing but what its frame has. */
function isWhole({ outputs, steps, fallbacks }: ResultFrame): boolean {
  if (steps.length > 0 || fallbacks.length > 0) return false;
  for (const output of outputs) {
    // What lies in those of BYTES is looked into by whoever takes them.
    if (output.source !== 'INLINE' || output.dtype === 'BYTES') return false;
  }
  return true;
}

const noOutputs: readonly NamedTensor[] = [];
/** An input that the server keeps. */
interface NamedInput {
  readonly slot: number;
  readonly handle: KeptHandle;
  readonly output: number;
}

/** Undefined: none of them is. */
function namedInputs(inputs: readonly NamedTensor[]): NamedInput[] | undefined {
  let named: NamedInput[] | undefined;
  for (let slot = 0; slot < inputs.length; slot++) {
    const place = inputs[slot]?.tensor.place;
    if (!(place instanceof KeptPlace)) continue;
    const { handle, output } = place;
    (named ??= []).push({ slot, handle, output });
  }
  return named;
}

/** The others, with the slots that they have among all. */
function bytesHere(inputs: readonly NamedTensor[]): NamedTensor[] {
  return inputs.flatMap((input, position) =>
    input.tensor.place === undefined ? [{ ...input, position }] : [],
  );
}

function withNamed(
  records: CallFrame['inputs'],
  named: readonly NamedInput[],
): CallFrame['inputs'] {
  const all = [
    ...records,
    ...named.map(({ slot, handle, output }) => {
      return { source: 'HANDLE', slot, handle: handle.id, output } as const;
    }),
  ];
  return all.sort((a, b) => a.slot - b.slot);
}

function keptElsewhere(): AxleError {
  const message =
    'a tensor that this call names ended with the connection that it was kept on; put it, or make it, again';
  return new AxleError('ABORTED', message);
}

/** Bytes of the outputs that are too large for a frame, as they lie in shared memory. */
function roomFor({ outputs }: ResultFrame): number {
  let bytes = 0;
  for (const output of outputs) {
    if (output.source !== 'INLINE') bytes += aligned(output.bytes);
  }
  return bytes;
}

/** Another device may run the call. */
function deviceGone(error: AxleError): AxleError {
  const message = `the server that came back cannot run it where it ran before: ${error.message}`;
  return new AxleError('UNAVAILABLE', message, { cause: error });
}

function endsServers(): AxleError {
  return new AxleError(
    'INTERNAL',
    `${endsMax} processes of the server ended, one after another, while they ran this call; it is not tried again`,
  );
}

function anotherServer(): AxleError {
  return new AxleError('UNAVAILABLE', 'another server, or another run of it, has taken its place');
}

export interface DeviceIds {
  /** Of the backend whose devices they are. */
  readonly name: string;
  deviceIdAt(index: number): string;
}
