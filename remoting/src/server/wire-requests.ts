import type { RequestLog } from '../log/request-log.js';
import { codeOf } from '../log/request-log.js';
import type { Frame, OutputTensor } from '../wire/frames.js';
import { fromWireUs } from '../wire/time.js';
import type { Held, RequestTold } from './held.js';

interface Begun {
  readonly type: string;
  readonly at: number;
}

/** Requests of one connection of the wire, as the log tells of them. */
export class WireRequests {
  tenant: string | undefined = undefined;
  /** Those that are not answered, where each has a line. */
  private readonly begun = new Map<number, Begun>();
  /** Of the frame that came last: two fields, since every call sets them. */
  private lastId = 0;
  private lastType = '';

  /** @param connection its number since the server began */
  constructor(
    private readonly log: RequestLog,
    private readonly connection: number,
    private readonly listener: string,
  ) {}

  /** Each has a line. */
  get tellsAll(): boolean {
    return this.log.writesAll;
  }

  /** @param type of the frame that makes the handle */
  began(id: number, type: string): void {
    this.lastId = id;
    this.lastType = type;
    if (this.log.writesAll) this.begun.set(id, { type, at: performance.now() });
  }

  answered(frame: Frame, held: Held | undefined): void {
    if (!this.log.writesAll) return;
    this.ended(frame.id, 'OK', undefined, () => ({ ...held?.told, ...ofResult(frame) }));
  }

  failed(id: number, error: Error, held: Held | undefined): void {
    this.ended(id, codeOf(error), error.message, () => held?.told);
  }

  private ended(
    id: number,
    code: ReturnType<typeof codeOf> | 'OK',
    reason: string | undefined,
    told: () => RequestTold | undefined,
  ): void {
    const begun = this.begun.get(id);
    this.begun.delete(id);
    this.log.ended(code, () => {
      const { connection, listener, tenant, lastId, lastType } = this;
      const op = begun?.type ?? (lastId === id ? lastType : '');
      return {
        ...(reason !== undefined && { reason }),
        ...{ requestId: `${connection}-${id}`, tenant, code, listener, connection },
        ms: begun === undefined ? undefined : performance.now() - begun.at,
        ...{ op, ...told() },
      };
    });
  }
}

function ofResult(frame: Frame): RequestTold {
  if (frame.type !== 'RESULT') return {};
  const { queueUs, computeUs, outputs } = frame;
  return {
    queueMs: fromWireUs(queueUs),
    computeMs: fromWireUs(computeUs),
    bytesOut: outputs.reduce((sum, output) => sum + bytesOf(output), 0),
  };
}

function bytesOf(output: OutputTensor): number {
  return output.source === 'INLINE' ? output.data.byteLength : output.bytes;
}
