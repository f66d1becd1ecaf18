import type { Duplex } from 'node:stream';

import { AxleError } from 'axle/errors';

import type { Headers } from '../calls/function-call.js';
import type { Failure } from './failure.js';
import {
  creditFrameOf,
  FrameReader,
  frameOf,
  headFrameOf,
  noFrame,
  partBytesMax,
  readCredit,
  readHead,
  readJson,
  setupBytesMax,
  type Frame,
} from './frame.js';
import { FrameWriter } from './frame-writer.js';
import { IncomingBody } from './incoming-body.js';
import { OutgoingBody } from './outgoing-body.js';

/** The front end sends what fits this: it is trusted, and checked where requests come in. */
export interface CallHead {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Headers;
}

export interface InstanceChannelOptions {
  readonly setUp: (setup: unknown) => void;
  readonly call: (call: ServedCall) => void;
}

const nothing = new Uint8Array(0);
const over = AxleError.expected('CANCELLED', 'nobody waits for the answer any more');

/** Calls from the front end, as an instance has them. */
export class InstanceChannel {
  private readonly writer: FrameWriter;
  private readonly calls = new Map<number, ServedCall>();
  /** What came of it, until it is whole. */
  private setup: Buffer[] = [];
  private setupBytes = 0;

  constructor(
    stream: Duplex,
    private readonly options: InstanceChannelOptions,
  ) {
    this.writer = new FrameWriter(stream);
    const reader = new FrameReader((frame) => {
      this.take(frame);
    });
    stream.on('data', (chunk: Buffer) => {
      reader.push(chunk);
    });
  }

  ready(): void {
    this.writer.write(frameOf('READY', 0));
  }

  /** The start failed. */
  failed(failure: Failure): void {
    this.writer.write(frameOf('FAILED', 0, Buffer.from(JSON.stringify(failure))));
  }

  private takeSetup(payload: Buffer, end: boolean): void {
    this.setupBytes += payload.byteLength;
    if (this.setupBytes > setupBytesMax) throw noFrame();
    this.setup.push(Buffer.from(payload));
    if (!end) return;
    const whole = Buffer.concat(this.setup, this.setupBytes);
    this.setup = [];
    this.options.setUp(readJson(whole));
  }

  private take(frame: Frame): void {
    const { type, call: number, payload, end } = frame;
    if (type === 'SETUP') {
      this.takeSetup(payload, end);
    } else if (type === 'CALL') {
      const { head, body } = readHead(payload);
      const call = new ServedCall(number, head as CallHead, this.writer, () => {
        this.calls.delete(number);
      });
      this.calls.set(number, call);
      call.body.push(Buffer.from(body), end);
      this.options.call(call);
    } else {
      // One that is answered is known no more.
      this.calls.get(number)?.take(frame);
    }
  }
}

/** One call, as an instance has it. */
export class ServedCall {
  readonly body: IncomingBody;
  /** Called once when nobody waits any more. */
  onCancel: (() => void) | undefined;
  private outgoing: OutgoingBody | undefined;
  private isOver = false;
  private hasBeenCancelled = false;

  constructor(
    private readonly number: number,
    readonly head: CallHead,
    private readonly writer: FrameWriter,
    private readonly forget: () => void,
  ) {
    this.body = new IncomingBody((bytes) => {
      if (!this.isOver) this.writer.write(creditFrameOf(number, bytes));
    });
  }

  get isCancelled(): boolean {
    return this.hasBeenCancelled;
  }

  take({ type, payload, end }: Frame): void {
    if (type === 'DATA') this.body.push(Buffer.from(payload), end);
    else if (type === 'CREDIT') this.outgoing?.addCredit(readCredit(payload));
    else if (type === 'CANCEL') this.cancel();
    else throw noFrame();
  }

  /**
   * Answers with a body that is whole. Nothing happens to a call that is over.
   *
   * @throws AxleError INVALID_ARGUMENT for a head that is too large.
   */
  answer(status: number, headers: Headers, body: Uint8Array): void {
    if (this.isOver) return;
    const end = body.byteLength <= partBytesMax;
    const first = end ? body : body.subarray(0, partBytesMax);
    this.writer.write(headFrameOf('ANSWER', this.number, { status, headers }, first, end));
    if (end) this.finish();
    else void this.sendRest(body, first.byteLength);
  }

  /** Answers with a body as it comes; settles when it was sent. @throws as `answer`; the source's errors end the call. */
  async stream(status: number, headers: Headers, source: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.isOver) return;
    this.writer.write(headFrameOf('ANSWER', this.number, { status, headers }, nothing, false));
    const outgoing = this.sendBody();
    // The handler's own iterator hears that it is read no further.
    for await (const chunk of source) await outgoing.write(chunk);
    await outgoing.write(nothing, true);
  }

  fail(failure: Failure): void {
    if (this.isOver) return;
    this.finish();
    this.writer.write(frameOf('FAILED', this.number, Buffer.from(JSON.stringify(failure))));
  }

  private async sendRest(body: Uint8Array, sentBytes: number): Promise<void> {
    const outgoing = this.sendBody();
    outgoing.take(sentBytes);
    try {
      await outgoing.write(body.subarray(sentBytes), true);
    } catch {
      this.fail({ code: 'CANCELLED', message: over.message });
    }
  }

  private sendBody(): OutgoingBody {
    this.outgoing = new OutgoingBody((data, end) => {
      this.writer.write(frameOf('DATA', this.number, data, end));
      if (end) this.finish();
      return this.writer.room();
    });
    if (this.hasBeenCancelled) this.outgoing.fail(over);
    return this.outgoing;
  }

  private cancel(): void {
    if (this.hasBeenCancelled) return;
    this.hasBeenCancelled = true;
    this.writer.write(frameOf('CANCEL', this.number));
    this.body.fail(over);
    this.outgoing?.fail(over);
    this.onCancel?.();
  }

  private finish(): void {
    this.isOver = true;
    this.forget();
    this.body.fail(over);
  }
}
