import { AxleError, attachMemory } from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';
import { ClientArena } from '../shared-memory/client-arena.js';
import { decodeFrame } from '../wire/decode-frame.js';
import { FrameSplitter } from '../wire/frame-splitter.js';
import { FrameWriter } from '../wire/frame-writer.js';
import type { ArenaFrame, Frame } from '../wire/frames.js';

/** Gets the memory that a server offers, as a client's second connection to the same socket. */
export type FetchArena = (offer: ArenaFrame) => Promise<ClientArena>;

/**
 * Over the unix socket at `path`.
 *
 * @returns a function that throws AxleError as the server refuses, and FAILED_PRECONDITION for memory that is not as
 * offered.
 */
export function fetchArenaFrom(path: string): FetchArena {
  return async ({ arena, bytes, ticket }) => {
    const writer = new FrameWriter();
    writer.write({ type: 'ATTACH', id: 0, ticket });
    const request = Buffer.concat(writer.take());
    const attached = await attachMemory(path, request, wireLimits.ticketMs);
    const answer = firstFrame(attached.answer);
    if (answer?.type === 'GOAWAY')
      throw new AxleError(answer.code === 'OK' ? 'UNAVAILABLE' : answer.code, answer.message);
    const asOffered =
      answer?.type === 'ATTACHED' && answer.arena === arena && answer.bytes === bytes;
    if (attached.memory?.byteLength !== bytes || !asOffered) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        'the shared memory is not what the server offered',
      );
    }
    return new ClientArena(arena, attached.memory);
  };
}

function firstFrame(bytes: Uint8Array): Frame | undefined {
  const frames: Frame[] = [];
  new FrameSplitter('server').push(bytes, (raw) => frames.push(decodeFrame(raw)));
  return frames[0];
}
