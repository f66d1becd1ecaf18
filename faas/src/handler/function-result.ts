import { AxleError } from 'axle/errors';

import type { Headers } from '../calls/function-call.js';

/** What a handler gave, in the form in which it is sent. */
export interface FunctionResult {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
}

type Body = Pick<FunctionResult, 'headers' | 'body'>;

const nothing = new Uint8Array(0);
const textHeaders: Headers = { 'content-type': 'text/plain; charset=utf-8' };
const jsonHeaders: Headers = { 'content-type': 'application/json' };
const binaryHeaders: Headers = { 'content-type': 'application/octet-stream' };
const noHeaders: Headers = {};
const answerFields: ReadonlySet<string> = new Set(['status', 'headers', 'body']);

/**
 * Reads what a handler returned:
 *
 * - nothing: an empty answer; a string: text; bytes: bytes; an async iterable, such as a stream: its chunks as they come
 * - a web `Response`
 * - an object with a whole number `status` and nothing else but `headers` and `body`: those; a body of any kind above.
 *   With one of both, its `status` cannot be anything else
 * - any other value: JSON
 *
 * A `content-type` of its own goes before the one told from the body.
 *
 * @throws AxleError INTERNAL for what cannot be sent.
 */
export function readResult(value: unknown): FunctionResult {
  if (isResponse(value)) return readResponse(value);
  if (!isAnswer(value)) return { status: 200, ...bodyOf(value) };
  const { headers, body } = bodyOf(value.body);
  return { status: value.status, headers: { ...headers, ...lowerCase(value.headers) }, body };
}

interface Answer {
  readonly status: number;
  readonly headers?: unknown;
  readonly body?: unknown;
}

function isAnswer(value: unknown): value is Answer {
  if (typeof value !== 'object' || value === null) return false;
  const fields = Object.keys(value);
  if (!fields.includes('status') || !fields.every((field) => answerFields.has(field))) return false;
  const { status } = value as Answer;
  if (Number.isInteger(status)) return true;
  // { status: 'ok' } is data as any other.
  if (fields.length === 1) return false;
  throw wrong(`the status ${shown(status)}; it is to be a whole number`);
}

function bodyOf(value: unknown): Body {
  if (value === undefined || value === null) return { headers: noHeaders, body: nothing };
  if (typeof value === 'string') return { headers: textHeaders, body: Buffer.from(value) };
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    return { headers: binaryHeaders, body: new Uint8Array(buffer, byteOffset, byteLength) };
  }
  if (value instanceof ArrayBuffer) return { headers: binaryHeaders, body: new Uint8Array(value) };
  if (isAsyncIterable(value)) return { headers: binaryHeaders, body: chunksOf(value) };
  const text = JSON.stringify(value) as string | undefined;
  if (text !== undefined) return { headers: jsonHeaders, body: Buffer.from(text) };
  throw wrong(`a ${typeof value}, which JSON does not have`);
}

function readResponse(response: Response): FunctionResult {
  const headers: Record<string, string | readonly string[]> = {};
  for (const [name, value] of response.headers) headers[name] = value;
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) headers['set-cookie'] = cookies;
  const { status, body } = response;
  return { status, headers, body: body === null ? nothing : chunksOf(body) };
}

async function* chunksOf(source: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    if (chunk instanceof Uint8Array) yield chunk;
    else if (typeof chunk === 'string') yield Buffer.from(chunk);
    else throw wrong(`a body whose chunks are neither bytes nor text: ${typeof chunk}`);
  }
}

function lowerCase(headers: unknown): Headers {
  if (headers === undefined) return noHeaders;
  // Of a list, a Map or Headers, the entries are no properties.
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers)
    throw wrong(
      'headers that are no object of texts by name; Object.fromEntries makes one of pairs',
    );
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), headerOf(name, value)]),
  );
}

/** Numbers, too, as Node's own answers take them. */
function headerOf(name: string, value: unknown): string | readonly string[] {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
  throw wrong(`the header ${name} as ${shown(value)}; it is to be a text, or a list of texts`);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : `a ${typeof value}`;
}

/** Told without naming the class: Node loads all of fetch when it is named first, which takes tens of milliseconds. */
function isResponse(value: unknown): value is Response {
  return Object.prototype.toString.call(value) === '[object Response]';
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

function wrong(what: string): AxleError {
  return new AxleError('INTERNAL', `the function gave ${what}`);
}
