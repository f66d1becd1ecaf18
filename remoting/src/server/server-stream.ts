import {
  AxleError,
  continueTrace,
  openStream,
  type CallReport,
  type Cancellation,
  type OpenedStream,
  type StreamWriteResult,
} from '@axle/core/internal';

import { decodeData } from '../wire/decode-frame.js';
import type { StreamFrame } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { fromWireUs, toWireUs } from '../wire/time.js';
import { WireError } from '../wire/wire-error.js';
import { Binding } from './binding.js';
import type { Front } from './front.js';
import { Held, type RequestTold } from './held.js';
import { checkRoom } from './room.js';
import { StreamInput } from './stream-input.js';

const MiB = 1024 * 1024;
/** Streams of one connection that are not answered. */
const streamsMax = 256;
/** Input of one write to the device, bytes; a frame more at most. */
const inputBytesMax = MiB;
/** Output of one write to the device, bytes. */
const outputBytesMax = 2 * MiB;
/** Output that waits for the client's credit, bytes: past it the device gets no more. */
const unsentBytesMax = MiB;

/** A STREAM that is under way: what comes goes to a device, one write at a time, and what that gives to the client. */
export class ServerStream extends Held {
  private readonly input = new StreamInput();
  private hasEnded = false;
  private opened: OpenedStream | undefined = undefined;
  private cancellation: Cancellation | undefined = undefined;
  private isWriting = false;
  /** The device has output for which it needs no more input. */
  private hasMore = false;
  /** Output may come without a write. */
  private isAwaiting = false;
  private isDone = false;
  private unsentBytes = 0;
  private sentBytes = 0;
  private readonly spent = { queue: 0, transfer: 0, compute: 0 };
  private settle: { resolve: () => void; reject: (reason: unknown) => void } | undefined;

  private constructor(
    private readonly front: Front,
    readonly id: number,
    private readonly binding: Binding,
    private readonly priority: number,
    private readonly deadlineAt: number | undefined,
  ) {
    super();
    front.streams += 1;
  }

  /** Answers STREAM. @throws AxleError as the stream is to fail; WireError HANDLE_UNKNOWN */
  static begin(front: Front, { id, binding, deadlineUs, priority, trace }: StreamFrame): void {
    const named = front.named(binding);
    if (!(named instanceof Binding)) throw front.notThere(binding, 'binding');
    checkRoom(front, 0);
    if (front.streams >= streamsMax) {
      throw AxleError.expected(
        'RESOURCE_EXHAUSTED',
        `${streamsMax} streams of this connection are open; end some of them first`,
      );
    }
    front.tenant.admitCall();
    const leftMs = deadlineUs === 0 ? undefined : fromWireUs(deadlineUs);
    const { session, runtime } = front;
    const startedAt = runtime.clock();
    const deadlineAt = leftMs === undefined ? undefined : startedAt + leftMs;
    const stream = new ServerStream(front, id, named, priority, deadlineAt);
    front.hold(id, stream);
    front.expectData(id);
    const options = { deadlineMs: leftMs, priority };
    const run = (cancellation: Cancellation) => stream.run(cancellation, startedAt);
    continueTrace(trace, () => session.call(`${named.opName}Stream`, options, run)).then(
      (report) => {
        stream.answer(report);
      },
      (error: unknown) => {
        if (!stream.isAnswered) front.fail(id, error);
      },
    );
  }

  override get told(): RequestTold {
    return { op: `${this.binding.opName}Stream` };
  }

  override onData(raw: RawFrame): void {
    if (this.hasEnded) throw new WireError('DATA_UNEXPECTED', 'DATA');
    const { data, end } = decodeData(raw);
    this.input.add(data, raw.end - raw.start);
    this.hasEnded = end;
    this.advance();
  }

  override cancel(reason: AxleError): void {
    this.cancellation?.cancel(reason);
  }

  override close(): void {
    this.front.streams -= 1;
  }

  /** Lives until all output has been sent, or something ends it; then nothing is left on the device. */
  private async run(cancellation: Cancellation, startedAt: number): Promise<CallReport> {
    this.cancellation = cancellation;
    try {
      await new Promise<void>((resolve, reject) => {
        this.settle = { resolve, reject };
        cancellation.subscribe({ cancelled: reject });
        this.advance();
      });
    } finally {
      this.settle = undefined;
      await this.opened?.stream.close();
    }
    const { device = '' } = this.opened ?? {};
    const timingMs = { ...this.spent, total: this.front.runtime.clock() - startedAt };
    const steps = [{ step: this.binding.opName, device, timingMs, batchSize: 1 }];
    return { device, steps, timingMs, fallbacks: [] };
  }

  /** Gives the device what there is, unless it is busy or the client has not taken what it gave. */
  private advance(): void {
    if (this.isWriting || this.settle === undefined || this.unsentBytes > unsentBytesMax) return;
    if (this.isDone) {
      if (this.unsentBytes === 0) this.settle.resolve();
      return;
    }
    if (this.input.bytes === 0 && !this.hasMore && !this.hasEnded) {
      this.awaitOutput();
      return;
    }
    this.isWriting = true;
    this.write().then(
      () => {
        this.isWriting = false;
        this.advance();
      },
      (error: unknown) => this.settle?.reject(error),
    );
  }

  /** Of a device elsewhere, which gives it when it has it. */
  private awaitOutput(): void {
    const { stream } = this.opened ?? {};
    if (this.isAwaiting || stream?.whenReady === undefined) return;
    this.isAwaiting = true;
    stream.whenReady().then(
      () => {
        this.isAwaiting = false;
        this.hasMore = true;
        this.advance();
      },
      (error: unknown) => this.settle?.reject(error),
    );
  }

  private async write(): Promise<void> {
    const data = this.input.first(inputBytesMax);
    const end = this.hasEnded && data.byteLength === this.input.bytes;
    const result = await this.device().stream.write(data, end, outputBytesMax);
    // What came for a stream that was ended in the meantime is nobody's.
    if (this.settle !== undefined) this.take(result, data.byteLength, end);
  }

  private take(result: StreamWriteResult, givenBytes: number, end: boolean): void {
    const { chunks, consumedBytes, more, timing } = result;
    this.spent.queue += timing.queueMs;
    this.spent.transfer += timing.transferMs;
    this.spent.compute += timing.computeMs;
    for (const chunk of chunks) this.send(chunk);
    this.front.usedData(this.id, this.input.take(consumedBytes));
    this.hasMore = more;
    const leftBytes = givenBytes - consumedBytes;
    if (leftBytes > 0 && consumedBytes === 0 && chunks.length === 0 && !more) {
      throw new AxleError(
        'INTERNAL',
        `${this.device().device} took nothing of a stream and gave nothing; report it to the plugin's author`,
      );
    }
    this.isDone = end && leftBytes === 0 && !more;
  }

  private send(chunk: Uint8Array): void {
    const { byteLength } = chunk;
    if (byteLength === 0) return;
    this.sentBytes += byteLength;
    const bytesMax = this.binding.outputBytesMax;
    if (bytesMax > 0 && this.sentBytes > bytesMax) {
      throw new AxleError('RESOURCE_EXHAUSTED', `the output is more than ${bytesMax} bytes`, {
        retryable: false,
      });
    }
    this.unsentBytes += byteLength;
    this.front.sendData(this.id, chunk, () => {
      this.unsentBytes -= byteLength;
      this.advance();
    });
  }

  private device(): OpenedStream {
    const { front, binding, priority, deadlineAt } = this;
    this.opened ??= openStream(
      front.session,
      binding.chainWith(undefined, front.session.limits.topKMax),
      binding.options(undefined, priority),
      deadlineAt,
    );
    return this.opened;
  }

  private answer({ device, timingMs }: CallReport): void {
    const { front, id } = this;
    const { queue, transfer, compute, total } = timingMs;
    front.answer(
      {
        type: 'RESULT',
        id,
        queueUs: toWireUs(queue),
        transferUs: toWireUs(transfer),
        computeUs: toWireUs(compute),
        totalUs: toWireUs(total),
        batchSize: 1,
        device: front.deviceIndexOf(device),
        outputs: [],
        steps: [],
        fallbacks: [],
      },
      [],
      false,
    );
  }
}
