import { AxleError } from 'axle';

import type { Headers } from '../calls/function-call.js';

export interface AnswerHead {
  readonly status: number;
  readonly headers: Headers;
}

const headersMax = 256;
const headerName = /^[!#$%&'*+.^`|~\w-]+$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Whoever sends the answer on sets these: they are of the connection or told from the body. */
const dropped: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Checks the head of an answer, which is from outside. @throws AxleError INTERNAL saying what is wrong. */
export function readAnswerHead(head: unknown): AnswerHead {
  const { status, headers } = (head ?? {}) as Partial<Record<string, unknown>>;
  if (!Number.isInteger(status) || (status as number) < 200 || (status as number) > 599) {
    throw wrong(`the status ${JSON.stringify(status)}; it is a whole number from 200 to 599`);
  }
  return { status: status as number, headers: readHeaders(headers ?? {}) };
}

function readHeaders(given: unknown): Headers {
  if (typeof given !== 'object' || given === null) throw wrong('headers that are no object');
  const entries = Object.entries(given);
  if (entries.length > headersMax) {
    throw wrong(`${entries.length} headers, and ${headersMax} are the most`);
  }
  const headers: Record<string, string | readonly string[]> = {};
  for (const [name, value] of entries) {
    const key = name.toLowerCase();
    if (!headerName.test(name)) throw wrong(`a header whose name is none: ${JSON.stringify(name)}`);
    if (dropped.has(key)) continue;
    if (!isValue(value)) throw wrong(`a value of the header ${name} that HTTP cannot carry`);
    headers[key] = value;
  }
  return headers;
}

function isValue(value: unknown): value is string | readonly string[] {
  if (Array.isArray(value)) return value.every((each) => isText(each));
  return isText(value);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && headerValue.test(value);
}

function wrong(what: string): AxleError {
  return new AxleError('INTERNAL', `the function answered with ${what}`);
}
