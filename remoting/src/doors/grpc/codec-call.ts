import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { AxleError } from '@axle/core/internal';
import { asAxleError, type CodecStream } from '@axle/core/internal';

import type { DoorClient, DoorClients } from '../door-clients.js';
import { callerOf, statusOf } from './authentication.js';

interface Piece {
  readonly data: Uint8Array;
}

/** A stream of a codec as a call: what comes in goes through it and out, each side no faster than the other takes it. */
export class CodecCall<Q extends Piece> {
  private stream: CodecStream | undefined;
  private over = false;

  /** @param open makes the stream by what the first message says; undefined: there was none */
  static serve<Q extends Piece>(
    clients: DoorClients,
    call: ServerDuplexStream<Q, Piece>,
    open: (client: DoorClient, first: Q | undefined) => CodecStream,
  ): void {
    new CodecCall(clients, call, open).start();
  }

  private constructor(
    private readonly clients: DoorClients,
    private readonly call: ServerDuplexStream<Q, Piece>,
    private readonly open: (client: DoorClient, first: Q | undefined) => CodecStream,
  ) {}

  private start(): void {
    const { call } = this;
    call.on('data', (message: Q) => {
      this.attempt(() => {
        const stream = this.streamFor(message);
        const { data } = message;
        if (data.byteLength === 0 || stream.write(data)) return;
        call.pause();
        stream.once('drain', () => call.resume());
      });
    });
    call.on('end', () => {
      this.attempt(() => this.streamFor(undefined).end());
    });
    // A stream may live longer than the token that opened it.
    const unwatch = this.clients.lapses.watch(callerOf(call), (reason) => {
      this.fail(reason);
    });
    call.on('cancelled', () => {
      unwatch();
      this.end();
    });
    call.on('error', () => undefined);
  }

  /** What it throws, the call ends with. */
  private attempt(work: () => void): void {
    if (this.over) return;
    try {
      work();
    } catch (error) {
      this.fail(asAxleError(error));
    }
  }

  private streamFor(first: Q | undefined): CodecStream {
    if (this.stream !== undefined) return this.stream;
    const { call } = this;
    const client = callerOf(call);
    const { usage } = client.tenant;
    client.tenant.admitCall();
    usage.take('calls');
    let stream: CodecStream;
    try {
      stream = client.request.traced(() => this.open(client, first));
    } catch (error) {
      usage.give('calls');
      throw error;
    }
    this.stream = stream;
    stream.on('data', (data: Buffer) => {
      if (call.write({ data })) return;
      stream.pause();
      call.once('drain', () => stream.resume());
    });
    stream.once('end', () => {
      if (!this.over) call.end();
      this.over = true;
    });
    stream.once('error', (error) => {
      this.fail(asAxleError(error));
    });
    stream.once('close', () => {
      usage.give('calls');
    });
    return stream;
  }

  private fail(error: AxleError): void {
    if (this.over) return;
    this.end();
    this.call.emit('error', statusOf(error));
  }

  private end(): void {
    this.over = true;
    this.stream?.destroy();
  }
}
