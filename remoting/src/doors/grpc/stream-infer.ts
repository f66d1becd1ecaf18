import type { ServerDuplexStream } from '@grpc/grpc-js';
import { asAxleError, AxleError } from '@axle/core/internal';

import type { DoorClient, DoorClients } from '../door-clients.js';
import type { DoorRequest } from '../door-request.js';
import type { InferCall } from '../kserve/infer-call.js';
import type { InferAnswer, InferRequest } from '../kserve/infer-request.js';
import type { KserveServer } from '../kserve/kserve-server.js';
import { callerOf, statusOf } from './authentication.js';
import { cancelled, timeLeft } from './grpc-service.js';
import type { StreamRefusal } from './infer-message.js';

type Call = ServerDuplexStream<InferRequest | AxleError, InferAnswer | StreamRefusal>;

/**
 * One ModelStreamInfer: requests are worked on together, up to a number, and answered in their order. One that fails is
 * answered with its message, and the stream goes on.
 */
export class StreamInfer {
  private readonly client: DoorClient;
  private readonly inFlight = new Set<InferCall>();
  /** Settles when all answers so far are written. */
  private written = Promise.resolve();
  private waiting = 0;
  private over = false;

  constructor(
    private readonly server: KserveServer,
    private readonly clients: DoorClients,
    private readonly call: Call,
    private readonly inFlightMax: number,
  ) {
    this.client = callerOf(call);
  }

  start(): void {
    const { call } = this;
    call.on('data', (request: InferRequest | AxleError) => {
      this.take(request);
    });
    call.on('end', () => {
      void this.written.then(() => {
        if (!this.over) call.end();
      });
    });
    // A stream may live longer than the token that opened it.
    const unwatch = this.clients.lapses.watch(this.client, (reason) => {
      this.expel(reason);
    });
    call.on('cancelled', () => {
      unwatch();
      this.over = true;
      for (const each of this.inFlight) each.cancel(cancelled());
    });
    // The call is cancelled, too.
    call.on('error', () => undefined);
  }

  private expel(reason: AxleError): void {
    this.over = true;
    for (const each of this.inFlight) each.cancel(reason);
    this.call.emit('error', statusOf(reason));
  }

  private take(request: InferRequest | AxleError): void {
    const { call } = this;
    this.waiting += 1;
    if (this.waiting >= this.inFlightMax) call.pause();
    const asked = this.client.request.inStream();
    const answer = asked.traced(() => this.answerOf(request, asked));
    this.written = this.written.then(async () => {
      await this.write(await answer);
      this.waiting -= 1;
      if (!this.over && this.waiting < this.inFlightMax) call.resume();
    });
  }

  private async answerOf(
    request: InferRequest | AxleError,
    asked: DoorRequest,
  ): Promise<InferAnswer | StreamRefusal> {
    const answer = await this.attempt(request, asked);
    if ('error' in answer) asked.end(answer.error.code, answer.error.message);
    else asked.end('OK');
    return answer;
  }

  private async attempt(
    request: InferRequest | AxleError,
    asked: DoorRequest,
  ): Promise<InferAnswer | StreamRefusal> {
    if (request instanceof AxleError) return { error: request, id: '' };
    const { client, call } = this;
    const inference = this.server.infer({ ...client, request: asked }, request, timeLeft(call));
    this.inFlight.add(inference);
    try {
      return await inference.answer;
    } catch (error) {
      return { error: asAxleError(error), id: request.id };
    } finally {
      this.inFlight.delete(inference);
    }
  }

  /** Waits while the client does not read. */
  private write(answer: InferAnswer | StreamRefusal): Promise<void> {
    return new Promise((resolve) => {
      if (this.over) resolve();
      else if (this.call.write(answer)) resolve();
      else this.call.once('drain', resolve).once('cancelled', resolve);
    });
  }
}
