import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import type { DoorLimits } from '../door-limits.js';

type Limits = Pick<DoorLimits, 'pipelinedMax' | 'pipelinedWaitingMax'>;

/**
 * The requests of one connection, of which a client may send the next before it has the answer of the last. Node tells the
 * close of a connection to the answer that is being sent only, and here to all that wait behind it as well.
 */
export class Pipeline {
  /**
   * Of requests that are not answered, in their order. Not a set: each of those leaves a table behind as its entries change,
   * which holds the next, and once one has grown old all requests of the connection do, whole.
   */
  private readonly responses: ServerResponse[] = [];
  private readonly waiting: (() => void)[] = [];
  private pausedReading = false;

  constructor(
    private readonly socket: Socket,
    private readonly limits: Limits,
  ) {
    socket.once('close', () => {
      this.close();
    });
  }

  /** Whether part of an answer may be on its way. */
  get isAnswering(): boolean {
    return this.responses.some(({ headersSent }) => headersSent);
  }

  /**
   * Takes in a request, until `leave`.
   *
   * @returns settles when the request may be worked on, or its client has gone; undefined: at once.
   */
  enter(response: ServerResponse): Promise<void> | undefined {
    this.responses.push(response);
    if (this.responses.length <= this.limits.pipelinedMax) return undefined;
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      if (this.waiting.length < this.limits.pipelinedWaitingMax) return;
      this.pausedReading = true;
      this.socket.pause();
    });
  }

  /** Of one that is closed. */
  leave(response: ServerResponse): void {
    const place = this.responses.indexOf(response);
    if (place >= 0) this.responses.splice(place, 1);
    this.waiting.shift()?.();
    if (!this.pausedReading || this.waiting.length >= this.limits.pipelinedWaitingMax) return;
    this.pausedReading = false;
    this.socket.resume();
  }

  private close(): void {
    for (const response of [...this.responses]) {
      if (response.closed) continue;
      // Those that never had the socket: Node leaves them as they are.
      response.destroy();
      response.emit('close');
    }
    for (const begin of this.waiting.splice(0)) begin();
  }
}
