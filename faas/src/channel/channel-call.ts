import { AxleError } from 'axle';

import type { FunctionCall } from '../calls/function-call.js';
import { ofFunction, withDetails } from '../calls/function-failure.js';
import type { CallOutcome, RunningCall } from '../instances/instance.js';
import { AnswerBody } from './answer-body.js';
import { readAnswerHead } from './answer-head.js';
import {
  creditFrameOf,
  frameOf,
  headFrameOf,
  noFrame,
  partBytesMax,
  readCredit,
  readHead,
  type Frame,
} from './frame.js';
import type { FrameWriter } from './frame-writer.js';
import { IncomingBody } from './incoming-body.js';
import { OutgoingBody } from './outgoing-body.js';
import { readFailure } from './read-failure.js';

const nothing = new Uint8Array(0);
const answered = AxleError.expected('CANCELLED', 'the function has answered');

/** One call over a channel, as the front end has it. */
export class ChannelCall implements RunningCall {
  private incoming: IncomingBody | undefined;
  private outgoing: OutgoingBody | undefined;
  private isSettled = false;
  private isCancelled = false;
  private isOver = false;
  private hears = false;

  constructor(
    readonly number: number,
    private readonly call: FunctionCall,
    private readonly outcome: CallOutcome,
    private readonly writer: FrameWriter,
    /** On the clock of the channel. */
    readonly deadlineAt: number,
  ) {}

  /** It was cancelled, and the instance has said that it knows. */
  get isHeard(): boolean {
    return this.hears;
  }

  /** @throws AxleError INVALID_ARGUMENT for a head that is too large. */
  send(): void {
    const { id, method, path, query, headers, body } = this.call;
    const head = { id, method, path, query, headers };
    const isWhole = body instanceof Uint8Array;
    const first = isWhole ? body.subarray(0, partBytesMax) : nothing;
    const end = isWhole && first.byteLength === body.byteLength;
    this.writer.write(headFrameOf('CALL', this.number, head, first, end));
    if (!end) void this.sendBody(first.byteLength);
  }

  cancel(reason: unknown): void {
    if (this.isCancelled || this.isOver) return;
    this.isCancelled = true;
    this.settle(reason);
    this.writer.write(frameOf('CANCEL', this.number));
  }

  /** The instance is gone, or this is the end of the call for another reason. */
  end(reason: unknown): void {
    this.settle(reason);
    this.free();
  }

  /**
   * @returns whether it was the last of the call.
   * @throws AxleError DATA_LOSS for what no instance sends.
   */
  take({ type, payload, end }: Frame): boolean {
    switch (type) {
      case 'ANSWER':
        this.takeAnswer(payload, end);
        break;
      case 'DATA':
        if (this.incoming !== undefined) this.incoming.push(Buffer.from(payload), end);
        else if (!this.isSettled) throw noFrame();
        break;
      case 'CREDIT':
        this.outgoing?.addCredit(readCredit(payload));
        return false;
      case 'CANCEL':
        this.hears = true;
        return false;
      case 'FAILED':
        this.settle(failureOf(payload));
        return true;
      case 'SETUP':
      case 'READY':
      case 'CALL':
        throw noFrame();
    }
    if (end) this.outgoing?.fail(answered);
    return end;
  }

  /** After the last frame. */
  free(): void {
    this.isOver = true;
    this.outcome.freed();
  }

  private takeAnswer(payload: Buffer, end: boolean): void {
    const { head, body } = readHead(payload);
    if (this.isSettled) {
      if (!this.isCancelled) throw noFrame();
      return;
    }
    let read;
    try {
      read = readAnswerHead(head);
    } catch (error) {
      this.cancel(ofFunction(error as AxleError, 'threw'));
      return;
    }
    this.isSettled = true;
    if (end) {
      this.outcome.answered({ ...read, body: Buffer.from(body) });
      return;
    }
    const incoming = new IncomingBody((bytes) => {
      this.writer.write(creditFrameOf(this.number, bytes));
    });
    this.incoming = incoming;
    incoming.push(Buffer.from(body), false);
    const stream = new AnswerBody(incoming, () => {
      this.cancel(leftUnread);
    });
    this.outcome.answered({ ...read, body: stream });
  }

  private async sendBody(sentBytes: number): Promise<void> {
    const { body } = this.call;
    const { number, writer } = this;
    const outgoing = new OutgoingBody((data, end) => {
      writer.write(frameOf('DATA', number, data, end));
      return writer.room();
    });
    this.outgoing = outgoing;
    try {
      if (body instanceof Uint8Array) {
        outgoing.take(sentBytes);
        await outgoing.write(body.subarray(sentBytes), true);
      } else {
        await outgoing.writeAll(body[Symbol.asyncIterator]());
      }
    } catch (error) {
      // A source that breaks. Otherwise the function has answered, or nobody waits.
      if (!outgoing.hasFailed) this.cancel(asAxleError(error));
    }
  }

  private settle(reason: unknown): void {
    const error = asAxleError(reason);
    this.outgoing?.fail(error);
    this.incoming?.fail(error);
    if (this.isSettled) return;
    this.isSettled = true;
    this.outcome.failed(reason);
  }
}

const leftUnread = AxleError.expected('CANCELLED', 'the answer was not read to its end');

function asAxleError(reason: unknown): AxleError {
  if (reason instanceof AxleError) return reason;
  const message = reason instanceof Error ? reason.message : String(reason);
  return new AxleError('CANCELLED', message, { cause: reason });
}

function failureOf(payload: Buffer): AxleError {
  const { error, isBodyTooLarge, thrown } = readFailure(payload);
  const details = thrown === undefined ? undefined : { kind: 'threw' as const, ...thrown };
  return withDetails(ofFunction(error, isBodyTooLarge ? 'tooLarge' : 'threw'), details);
}
