import {
  AxleError,
  type CallOutcome,
  type CallRequest,
  type CallWork,
  type Cancellation,
} from '@axle/core/internal';

import { followingBytes, IncomingTensors } from '../tensors/incoming.js';
import { OutgoingTensors } from '../tensors/outgoing.js';
import { decodeData } from '../wire/decode-frame.js';
import type { CallFrame, ResultFrame } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { fromWireUs, toWireUs } from '../wire/time.js';
import { Binding } from './binding.js';
import type { Front } from './front.js';
import type { Future } from './future.js';
import { Held } from './held.js';
import { withLabels } from './labels.js';
import { makingOf, unasked } from './making.js';

const batchSizeMax = 65_535;

/** A CALL that is under way: its inputs come, what it names gets ready, then core has it. */
export class ServerCall extends Held implements CallWork<undefined> {
  private readonly incoming = new IncomingTensors();
  /** On the runtime's clock. */
  private readonly deadlineAt: number | undefined;
  /** Of inputs that come behind the frame, until they are there. */
  private bytesDue = 0;
  /** Things that it names and that are not there yet. */
  private awaited = 0;
  /** Once core has it. */
  private cancellation: Cancellation | undefined = undefined;

  private constructor(
    private readonly front: Front,
    readonly id: number,
    private readonly binding: Binding,
    deadlineUs: number,
    private readonly priority: number,
  ) {
    super();
    const { runtime } = front;
    this.deadlineAt = deadlineUs === 0 ? undefined : runtime.clock() + fromWireUs(deadlineUs);
  }

  /** Answers CALL. @throws AxleError as the call is to fail; WireError HANDLE_UNKNOWN */
  static begin(front: Front, frame: CallFrame): void {
    const { id, binding, deadlineUs, priority } = frame;
    const named = front.named(binding);
    if (!(named instanceof Binding)) throw front.notThere(binding, 'binding');
    checkRoom(front, followingBytes(frame.inputs));
    const call = new ServerCall(front, id, named, deadlineUs, priority);
    front.hold(id, call);
    call.receive(frame);
  }

  override onData(raw: RawFrame): void {
    const { front, id, incoming } = this;
    incoming.take(decodeData(raw).data);
    front.usedData(id, raw.end - raw.start);
    if (!incoming.isComplete) return;
    front.forgetData(id);
    this.startIfReady();
  }

  override cancel(reason: AxleError): void {
    if (this.cancellation === undefined) this.front.fail(this.id, reason);
    else this.cancellation.cancel(reason);
  }

  override close(): void {
    this.nothingDue();
  }

  prepare(): CallRequest {
    const { binding, front } = this;
    const model = binding.model?.value;
    const { limits } = front.session;
    const { outputBytesMax } = binding;
    return {
      chain: binding.chainWith(model, limits.topKMax),
      model,
      inputs: this.incoming.read(),
      outputBytesMax: outputBytesMax === 0 ? limits.outputBytesMax : outputBytesMax,
    };
  }

  shape({ outputs, report }: CallOutcome): undefined {
    const { front, id, binding } = this;
    const { queue, transfer, compute, total } = report.timingMs;
    const { records, following } = new OutgoingTensors(
      binding.labels ? withLabels(outputs, binding.model?.value) : outputs,
      binding.names,
      front.payloadMax,
    );
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
      ...(binding.steps ? makingOf(front, report) : unasked),
    };
    front.answer(result, following, false);
    return undefined;
  }

  private receive({ inputs }: CallFrame): void {
    const { front, id, binding } = this;
    for (const input of inputs) {
      if (input.source === 'HANDLE' || input.source === 'SHARED') {
        throw new AxleError('UNIMPLEMENTED', `this server takes no ${input.source} inputs yet`);
      }
      this.incoming.add(input, binding.inputNames[input.slot] ?? '');
    }
    if (!this.incoming.isComplete) {
      this.bytesDue = followingBytes(inputs);
      front.bytesDue += this.bytesDue;
      front.expectData(id);
    }
    if (binding.model !== undefined) this.await(binding.model);
    this.startIfReady();
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

  private startIfReady(): void {
    if (this.awaited > 0 || this.isAnswered || !this.incoming.isComplete) return;
    this.nothingDue();
    const { front, id, binding, deadlineAt, priority } = this;
    const leftMs = deadlineAt === undefined ? undefined : deadlineAt - front.runtime.clock();
    const failed = (reason: unknown) => {
      front.fail(id, reason);
    };
    try {
      const options = binding.options(leftMs, priority);
      this.cancellation = front.session.start(options, this, ignore, failed);
    } catch (error) {
      failed(error);
    }
  }

  private nothingDue(): void {
    this.front.bytesDue -= this.bytesDue;
    this.bytesDue = 0;
  }
}

/** @throws AxleError RESOURCE_EXHAUSTED */
function checkRoom({ unanswered, session, requestBytesMax, bytesDue }: Front, bytes: number): void {
  const { callsInFlightMax } = session.limits;
  // This one is among them.
  if (unanswered > callsInFlightMax) {
    throw AxleError.expected(
      'RESOURCE_EXHAUSTED',
      `${callsInFlightMax} calls of this connection are not answered; await some of them first`,
    );
  }
  if (bytes > requestBytesMax) {
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `the inputs have ${bytes} bytes; this server takes ${requestBytesMax}`,
      { retryable: false },
    );
  }
  if (bytesDue + bytes > requestBytesMax) {
    throw AxleError.expected(
      'RESOURCE_EXHAUSTED',
      `calls that are being sent have ${bytesDue} bytes already; await them first`,
    );
  }
}

const ignore = () => undefined;
