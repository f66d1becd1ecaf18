import type { IncomingMessage } from 'node:http';

import { AxleError } from 'axle';

import { readBody } from './read-body.js';

/** Bodies that are received as a whole take memory: so much of it at once, of all callers. */
export class ReceiveBudget {
  private taken = 0;

  constructor(private readonly bytesMax: number) {}

  /** @throws AxleError RESOURCE_EXHAUSTED when others take it all, or as `readBody`. */
  async read(request: IncomingMessage, bodyBytesMax: number): Promise<Buffer> {
    // What no length announces may become as long as any.
    const announced = Number(request.headers['content-length'] ?? bodyBytesMax);
    const bytes = Math.min(announced, bodyBytesMax);
    if (this.taken + bytes > this.bytesMax) {
      throw AxleError.expected(
        'RESOURCE_EXHAUSTED',
        'too many large calls are being received; try again',
      );
    }
    this.taken += bytes;
    try {
      return await readBody(request, bodyBytesMax);
    } finally {
      this.taken -= bytes;
    }
  }
}
