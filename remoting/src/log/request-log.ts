import { AxleError, type ErrorCodeName } from '@axle/core/internal';

import type { AuditLog } from './audit-log.js';
import { LimitedLog } from './limited-log.js';
import type { Log, LogFields, LogLevel } from './log.js';

/** How a request ended. */
export interface RequestEnd extends LogFields {
  readonly requestId: string;
  readonly op: string;
  readonly code: ErrorCodeName | 'OK';
  /** Why it failed, in words that may quote what the client sent. */
  readonly reason?: string;
}

/** Which requests have a line; of `failures`, only so many in a while. */
export type LoggedRequests = 'none' | 'failures' | 'all';

/** Failures of the server's own. */
const faults: ReadonlySet<string> = new Set(['INTERNAL', 'UNKNOWN', 'DATA_LOSS']);
/** Their words say which element of which input was wrong: the client has them, and a log has no inputs. */
const aboutInputs: ReadonlySet<string> = new Set(['INVALID_ARGUMENT', 'OUT_OF_RANGE']);
const refusals: ReadonlySet<string> = new Set(['RESOURCE_EXHAUSTED', 'PERMISSION_DENIED']);
const decimals = 1000;

/**
 * Requests of all doors and of the wire: those that were refused or failed, only so many in a while, and if the operator
 * wants it every one.
 */
export class RequestLog {
  private readonly failures: LimitedLog;
  /** Told of calls that a quota or a right has refused. */
  audit: Pick<AuditLog, 'refusedCall'> | undefined = undefined;

  /**
   * @param clock milliseconds, of any start
   */
  constructor(
    private readonly log: Log,
    /** May change at any time. */
    public which: LoggedRequests,
    clock: () => number,
  ) {
    this.failures = new LimitedLog(log, clock);
  }

  /** Those that go well have a line, too. */
  get writesAll(): boolean {
    return this.which === 'all';
  }

  /** @param end is asked for what is written only. */
  ended(code: ErrorCodeName | 'OK', end: () => RequestEnd): void {
    if (this.audit !== undefined && refusals.has(code)) this.tellRefusal(this.audit, end());
    if (this.which === 'none') return;
    if (isFailure(code) && this.failures.takes()) this.writeFailure(end());
    if (this.writesAll) this.writeAccess(end());
  }

  private tellRefusal(
    audit: Pick<AuditLog, 'refusedCall'>,
    { tenant = '', code, reason = '' }: RequestEnd,
  ): void {
    audit.refusedCall(tenant, code, reason);
  }

  private writeFailure({ reason, ...end }: RequestEnd): void {
    const { op, model, code } = end;
    const of = model === undefined || model === '' ? '' : ` of model '${model}'`;
    const why = reason === undefined || aboutInputs.has(code) ? '' : `: ${reason}`;
    const level: LogLevel = faults.has(code) ? 'error' : 'warn';
    this.log(`${op || 'a request'}${of} failed with ${code}${why}`, { level, ...rounded(end) });
  }

  private writeAccess({ reason: _, ...end }: RequestEnd): void {
    const { op, model = '', code, ms, bytesIn, bytesOut } = rounded(end);
    const what = [op || '-', model || '-', code, `${ms ?? 0} ms`];
    this.log(`${what.join(' ')}, ${bytesIn ?? 0} bytes in, ${bytesOut ?? 0} out`, rounded(end));
  }
}

/** One that its client gave up has not failed. */
function isFailure(code: string): boolean {
  return code !== 'OK' && code !== 'CANCELLED';
}

function rounded<T extends LogFields>(fields: T): T {
  const { ms, queueMs, computeMs } = fields;
  return { ...fields, ms: micro(ms), queueMs: micro(queueMs), computeMs: micro(computeMs) };
}

function micro(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * decimals) / decimals;
}

/** What a request failed with, as the log names it. Aborts are those of a client that is gone. */
export function codeOf(reason: unknown): ErrorCodeName {
  if (reason instanceof AxleError) return reason.code;
  const name = reason instanceof Error ? reason.name : '';
  if (name === 'AbortError') return 'CANCELLED';
  return name === 'TimeoutError' ? 'DEADLINE_EXCEEDED' : 'INTERNAL';
}
