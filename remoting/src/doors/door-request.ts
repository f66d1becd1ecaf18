import { randomBytes } from 'node:crypto';

import {
  activeTrace,
  continueTrace,
  type CallReport,
  type ErrorCodeName,
  type TraceContext,
} from '@axle/core/internal';

import type { RequestLog } from '../log/request-log.js';
import type { DoorConnection } from './door-clients.js';
import { readTraceparent } from './traceparent.js';

/** An id that a client gives: short, and harmless in a log and a header. */
const idPattern = /^[\x21-\x7e]{1,128}$/;

/** What the headers of a request say of it. */
export interface RequestHeaders {
  readonly id: string | undefined;
  readonly traceparent: string | undefined;
}

/** One request of a door, as the log tells of it. */
export class DoorRequest {
  /** That its client gave in the headers, and gets back. */
  readonly givenId: string | undefined;
  readonly trace: TraceContext | undefined;
  tenant: string | undefined = undefined;
  op = '';
  bytesIn = 0;
  bytesOut = 0;
  private ownId: string | undefined;
  private model: string | undefined;
  private report: CallReport | undefined;
  private readonly startedAt = performance.now();
  private isOver = false;

  constructor(
    private readonly requests: DoorRequests,
    private readonly connection: DoorConnection,
    private readonly headers: RequestHeaders,
  ) {
    const { id, traceparent } = headers;
    this.givenId = id !== undefined && idPattern.test(id) ? id : undefined;
    this.trace = readTraceparent(traceparent);
  }

  /** By which the log knows it, and whoever asks. */
  get id(): string {
    return (this.ownId ??= this.givenId ?? this.requests.nextId());
  }

  /** Whether there is a line for it if it goes well. */
  get isToldOf(): boolean {
    return this.requests.log.writesAll;
  }

  /** One of the requests of a stream. */
  inStream(): DoorRequest {
    const { requests, connection, headers, tenant, op } = this;
    const request = new DoorRequest(requests, connection, headers);
    request.tenant = tenant;
    request.op = op;
    return request;
  }

  /** @param id in the message; goes before that of the headers if it is one for logs */
  calls(model: string, id: string): void {
    this.model = model;
    if (idPattern.test(id)) this.ownId = id;
  }

  ran(report: CallReport): void {
    this.report = report;
  }

  /** Runs what works on it as part of its client's trace, where nothing else has done so. */
  traced<T>(work: () => T): T {
    const { trace } = this;
    if (trace === undefined || activeTrace() !== undefined) return work();
    return continueTrace(trace, work);
  }

  /** Its answer is sent, or nobody waits for one. Only the first counts. */
  end(code: ErrorCodeName | 'OK', reason?: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.requests.log.ended(code, () => {
      const { tenant, op, model, bytesIn, bytesOut, report, trace } = this;
      return {
        ...(reason !== undefined && { reason }),
        ...{ requestId: this.id, tenant, op, model, code, bytesIn, bytesOut },
        ...{ listener: this.connection.listener, connection: this.connection.number },
        ms: performance.now() - this.startedAt,
        queueMs: report?.timingMs.queue,
        computeMs: report?.timingMs.compute,
        traceId: trace && Buffer.from(trace.traceId).toString('hex'),
      };
    });
  }
}

/** Makes the requests of all doors of a server. */
export class DoorRequests {
  /** Ids of two servers, or of two runs of one, are not the same. */
  private readonly prefix = randomBytes(6).toString('hex');
  private count = 0;

  constructor(readonly log: RequestLog) {}

  begin(connection: DoorConnection, headers: RequestHeaders): DoorRequest {
    return new DoorRequest(this, connection, headers);
  }

  nextId(): string {
    this.count += 1;
    return `${this.prefix}-${this.count}`;
  }
}
