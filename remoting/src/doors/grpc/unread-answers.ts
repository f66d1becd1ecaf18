import { AxleError } from '@axle/core/internal';

import type { InferAnswer } from '../kserve/infer-request.js';

/** Answers of one connection that its client has not taken yet, bytes. */
export class UnreadAnswers {
  private bytes = 0;

  constructor(private readonly bytesMax: number) {}

  /**
   * Of one more answer. A client may have one of any size that it does not take.
   *
   * @throws AxleError RESOURCE_EXHAUSTED
   */
  add(bytes: number): void {
    if (this.bytes > 0 && this.bytes + bytes > this.bytesMax) {
      throw AxleError.expected(
        'RESOURCE_EXHAUSTED',
        `${this.bytes} bytes of answers wait on this connection for a client that does not take them; read them first`,
      );
    }
    this.bytes += bytes;
  }

  remove(bytes: number): void {
    this.bytes -= bytes;
  }
}

/** What an answer takes, of which most are of inferences: those are not looked through. */
export function bytesOfAnswer(message: unknown): number {
  if (!isInferAnswer(message)) return bytesOfMessage(message);
  let bytes = 0;
  for (const { tensor } of message.outputs) bytes += tensor.byteLength;
  return bytes;
}

function isInferAnswer(message: unknown): message is InferAnswer {
  return typeof message === 'object' && message !== null && 'modelVersion' in message;
}

/** Levels of messages in messages that are looked at. */
const depthMax = 6;

/** What a message takes: of its tensors and pieces, beside which all else is small. */
export function bytesOfMessage(message: unknown, depth = 0): number {
  if (message instanceof Uint8Array) return message.byteLength;
  if (typeof message !== 'object' || message === null || depth === depthMax) return 0;
  const parts: readonly unknown[] = Array.isArray(message) ? message : Object.values(message);
  return parts.reduce<number>((sum, part) => sum + bytesOfMessage(part, depth + 1), 0);
}
