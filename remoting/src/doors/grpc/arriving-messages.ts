import { constants, type ServerHttp2Stream } from 'node:http2';

import { asAxleError, AxleError } from '@axle/core/internal';

/** Before each message of gRPC: one byte whether it is packed, and four of its length. */
const headBytes = 5;
/** The most bytes that deflate makes of one. */
const inflationMax = 1032;

/** Whom messages are charged to until they have arrived, bytes. */
export interface MessagePayer {
  /** @throws AxleError RESOURCE_EXHAUSTED */
  take(bytes: number): void;
  give(bytes: number): void;
}

/** Of calls that anyone may make: no method of theirs has more to say. */
const openMessageBytesMax = 4096;

export const nobody: MessagePayer = {
  take: (bytes) => {
    if (bytes <= openMessageBytesMax) return;
    throw AxleError.expected(
      'RESOURCE_EXHAUSTED',
      `the message has ${bytes} bytes, and ${openMessageBytesMax} are the most that this server reads of anyone`,
    );
  },
  give: () => undefined,
};

/**
 * Charges the messages of one call from their first bytes on: grpc-js keeps what has come of a message until it is whole,
 * and charges it to nobody. A packed one costs what it may unpack to.
 */
export class ArrivingMessages {
  private readonly head = Buffer.alloc(headBytes);
  private headRead = 0;
  /** Of the message that comes, bytes. */
  private left = 0;
  /** Of messages that are not handed on, in their order. */
  private readonly charges: number[] = [];
  private payer: MessagePayer | undefined;

  /**
   * @param stream of the call
   * @param messageBytesMax for longer ones the call ends without this
   */
  constructor(
    private readonly stream: ServerHttp2Stream,
    private readonly messageBytesMax: number,
  ) {}

  /**
   * To be called before anything of the call is read.
   *
   * @param refuse is to end the call: the payer would not have it
   */
  watch(payer: MessagePayer, refuse: (reason: AxleError) => void): void {
    this.payer = payer;
    const { stream } = this;
    const take = (piece: Buffer) => {
      const wasUnderWay = stream.headersSent;
      try {
        this.arrived(piece, payer);
      } catch (error) {
        stream.off('data', take);
        refuse(asAxleError(error));
        // What is sent behind headers comes too late: the rest of this piece would be kept.
        if (!stream.closed && wasUnderWay) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      }
    };
    // Before grpc-js has it.
    stream.prependListener('data', take);
    stream.once('close', () => {
      for (const charge of this.charges.splice(0)) payer.give(charge);
    });
  }

  /** The oldest message goes on to who asked for it. */
  handedOn(): void {
    this.payer?.give(this.charges.shift() ?? 0);
  }

  /** @param end ends the call: half a message of it is not kept then until its client ends it, too */
  endBy(end: () => void): void {
    const { stream } = this;
    const isBare = !stream.headersSent;
    end();
    if (isBare && this.left > 0) stream.close();
  }

  private arrived(piece: Buffer, payer: MessagePayer): void {
    for (let at = 0; at < piece.byteLength;) {
      if (this.left > 0) {
        const bytes = Math.min(this.left, piece.byteLength - at);
        this.left -= bytes;
        at += bytes;
        continue;
      }
      const copied = piece.copy(this.head, this.headRead, at);
      this.headRead += copied;
      at += copied;
      if (this.headRead < headBytes) return;
      this.headRead = 0;
      this.left = this.head.readUInt32BE(1);
      this.charge(payer, this.head.readUInt8(0) !== 0);
    }
  }

  private charge(payer: MessagePayer, isPacked: boolean): void {
    const { left, messageBytesMax } = this;
    const unpacked = isPacked ? Math.min(left * inflationMax, messageBytesMax) : 0;
    const charge = left > messageBytesMax ? 0 : left + unpacked;
    payer.take(charge);
    this.charges.push(charge);
  }
}
