import { performance } from 'node:perf_hooks';

import type {
  Lane,
  LaneListener,
  LaneWire,
  ResultAsCame,
  TaskOutcome,
  TaskTiming,
} from '@axle/core/internal';

import { FRAME_RULES, FrameType, wireLimits } from '../generated/wire.js';
import { HandleTable } from '../handle-table.js';
import { decodeCall } from '../wire/decode-frame.js';
import type { CallFrame } from '../wire/frames.js';
import { RawFrame } from '../wire/frame-splitter.js';
import { alignment, headerBytes, readUint64, writeUint64 } from '../wire/numbers.js';
import { toWireUs } from '../wire/time.js';
import { WireError } from '../wire/wire-error.js';
import { ForwardedTask, type ForwardedKind } from './forwarded-task.js';

/** Answers that go on together: of one turn, and no more than this, bytes. */
const answersBytesMax = 256 * 1024;
const answersBytesMin = 4 * 1024;

/** Who takes the tasks of a lane, as `submit` and `cancel` of Backend. */
export interface ForwardTarget {
  submit(task: ForwardedTask): void;
  cancel(task: ForwardedTask): void;
}

/**
 * Calls of one binding that a relay hands on as the frames that they came in, and whose answers go back as the frames that
 * they are, but for their numbers: without a call, a ticket and tensors on this side. What becomes of a task on its way
 * (choice of a server, second attempts, moves, replay) is the target's business, as of other tasks.
 */
export class ForwardLane implements Lane, ForwardedKind {
  calls = 0;
  inputBytes = 0;
  lastHandle = 0;
  readonly inputNames: readonly string[];
  private readonly inFlight = new HandleTable<ForwardedTask>();
  private readonly frame = new RawFrame();
  /** Answers that were not handed over, as RESULT frames. */
  private answers: Buffer = Buffer.allocUnsafeSlow(answersBytesMin);
  private view = new DataView(this.answers.buffer);
  private answersEnd = 0;
  private answered = 0;
  private answeredInputBytes = 0;
  private workMs = 0;
  private forgotten = 0;
  private isFlushing = false;

  constructor(
    private readonly kind: Omit<ForwardedKind, 'inputNames' | 'settled'>,
    private readonly wire: LaneWire,
    private readonly listener: LaneListener,
    private readonly target: ForwardTarget,
  ) {
    this.inputNames = wire.inputNames;
    this.frame.type = 'CALL';
    this.frame.rules = FRAME_RULES.CALL;
  }

  /** Whether answers can go on as they come to a side that speaks so. */
  static serves({ namesOutputs, payloadMax }: LaneWire): boolean {
    return namesOutputs && payloadMax >= wireLimits.payloadBytesMax;
  }

  get range(): ForwardedKind['range'] {
    return this.kind.range;
  }

  get args(): ForwardedKind['args'] {
    return this.kind.args;
  }

  get outputBytesMax(): number {
    return this.kind.outputBytesMax;
  }

  get tenant(): string {
    return this.kind.tenant;
  }

  get preference(): ForwardedKind['preference'] {
    return this.kind.preference;
  }

  take(bytes: Buffer, from: number, callsMax: number, handleMin: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.calls = 0;
    this.inputBytes = 0;
    this.lastHandle = handleMin;
    let at = from;
    while (this.calls < callsMax) {
      const task = this.taskAt(bytes, view, at);
      if (task === undefined) break;
      at = task.end;
      this.calls += 1;
      this.inputBytes += task.inputBytes;
      this.lastHandle = task.handle;
      this.inFlight.add(task.handle, task);
      this.target.submit(task);
    }
    return at - from;
  }

  forget(handle: number): number | undefined {
    const task = this.inFlight.get(handle);
    if (task === undefined) return undefined;
    this.inFlight.delete(handle);
    this.drop(task);
    return task.inputBytes;
  }

  forgetAll(): void {
    for (const [, task] of this.inFlight.takePast(0)) this.drop(task);
  }

  close(): void {
    // Nothing is held but memory.
  }

  private drop(task: ForwardedTask): void {
    task.isForgotten = true;
    this.target.cancel(task);
  }

  settled(task: ForwardedTask, outcome: TaskOutcome): void {
    if (task.isForgotten) {
      this.forgotten += 1;
      this.flushSoon();
      return;
    }
    this.inFlight.delete(task.handle);
    if (!outcome.ok || outcome.asCame === undefined) {
      this.listener.settled(task.handle, task.inputBytes, outcome);
      return;
    }
    this.add(task, outcome.asCame, outcome.timing);
    this.flushSoon();
  }

  /** Undefined: there is none, or it is not plain. What is wrong with it, if anything, is for others to say. */
  private taskAt(memory: Buffer, view: DataView, at: number): ForwardedTask | undefined {
    if (memory.length - at < headerBytes) return undefined;
    // Type, flags and padding.
    if (view.getUint32(at + 4, true) !== FrameType.CALL) return undefined;
    const payloadBytes = view.getUint32(at, true);
    const start = at + headerBytes;
    const end = start + payloadBytes;
    if (end > memory.length || payloadBytes % alignment !== 0) return undefined;
    const id = readUint64(view, at + 8) ?? 0;
    if (payloadBytes > wireLimits.payloadBytesMax || id <= this.lastHandle) return undefined;
    const { frame } = this;
    frame.id = id;
    frame.memory = memory;
    frame.view = view;
    frame.start = start;
    frame.end = end;
    const call = wellFormed(frame);
    return call !== undefined && this.isPlain(call)
      ? new ForwardedTask(this, frame, call)
      : undefined;
  }

  private isPlain({ binding, deadlineUs, priority, inputs }: CallFrame): boolean {
    const { wire, inputNames } = this;
    if (binding !== wire.binding || deadlineUs !== 0 || priority !== 0) return false;
    if (inputs.length !== inputNames.length) return false;
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i];
      // What lies in those of BYTES is looked into before it goes on.
      if (input?.source !== 'INLINE' || input.dtype === 'BYTES' || input.slot !== i) return false;
    }
    return true;
  }

  private add(task: ForwardedTask, { memory, start, end }: ResultAsCame, timing: TaskTiming): void {
    const payloadBytes = end - start;
    const at = this.roomFor(headerBytes + payloadBytes);
    const { answers, view } = this;
    const { queueMs, transferMs, computeMs, batchSize } = timing;
    view.setUint32(at, payloadBytes, true);
    view.setUint32(at + 4, FrameType.RESULT, true);
    writeUint64(view, at + 8, task.handle);
    const payload = at + headerBytes;
    answers.set(memory.subarray(start, end), payload);
    // As `decodeResult` has them.
    view.setUint32(payload, toWireUs(queueMs), true);
    view.setUint32(payload + 4, toWireUs(transferMs), true);
    view.setUint32(payload + 8, toWireUs(computeMs), true);
    view.setUint32(payload + 12, toWireUs(performance.now() - task.beganAt), true);
    view.setUint16(payload + 18, this.wire.deviceIndex, true);
    this.answersEnd = payload + payloadBytes;
    this.answered += 1;
    this.answeredInputBytes += task.inputBytes;
    this.workMs += transferMs + computeMs / batchSize;
  }

  /** @returns where the next answer is to lie */
  private roomFor(bytes: number): number {
    if (this.answersEnd + bytes > answersBytesMax) this.flush();
    const { answers, answersEnd } = this;
    const needed = answersEnd + bytes;
    if (needed > answers.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * answers.length));
      grown.set(answers.subarray(0, answersEnd));
      this.answers = grown;
      this.view = new DataView(grown.buffer);
    }
    return answersEnd;
  }

  /** With all that comes with the same chunk of bytes. */
  private flushSoon(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    queueMicrotask(this.flushNow);
  }

  private readonly flushNow = (): void => {
    this.isFlushing = false;
    this.flush();
  };

  private flush(): void {
    const { answers, answersEnd, answered, answeredInputBytes, workMs, forgotten } = this;
    if (answered === 0 && forgotten === 0) return;
    this.answersEnd = 0;
    this.answered = 0;
    this.answeredInputBytes = 0;
    this.workMs = 0;
    this.forgotten = 0;
    this.listener.answered({
      results: answered,
      frames: answers.subarray(0, answersEnd),
      returned: 0,
      returnedFrames: none,
      inputBytes: answeredInputBytes,
      workMs,
      forgotten,
    });
  }
}

const none = new Uint8Array(0);

function wellFormed(frame: RawFrame): CallFrame | undefined {
  try {
    return decodeCall(frame);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
