import type { IncomingMessage, ServerResponse } from 'node:http';

import type { AxleError } from 'axle';

import { asAxleError } from '../as-axle-error.js';
import { functionFailureOf } from '../calls/function-failure.js';
import { httpStatusOf } from './error-status.js';

const msPerSecond = 1000;

/** A request and where its answer goes. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Without the query, as it came. */
  readonly path: string;
  /** Without '?'. */
  readonly query: string;
}

/** What it throws is answered by `sendError`. */
export type Handler = (exchange: Exchange) => Promise<void> | void;

export function sendJson({ response }: Exchange, status: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': body.byteLength,
  });
  response.end(body);
}

export function sendText(
  { response }: Exchange,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = Buffer.from(text);
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': body.byteLength,
    ...headers,
  });
  response.end(body);
}

/** Who answered, or failed: statuses and other headers of a function may look like the front end's. */
export const answeredBy = 'axle-answered-by';

/** Errors of all doors but Lambda's: text for people, with the code in headers for programs. */
export function sendError(
  exchange: Exchange,
  thrown: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const { response } = exchange;
  const error = asAxleError(thrown);
  if (!canAnswer(exchange)) {
    response.destroy();
    return;
  }
  const status = httpStatusOf(error);
  endConnectionIfUnread(exchange);
  const isOfFunction = functionFailureOf(error) !== undefined;
  const text = isOfFunction ? `${error.code}: ${error.message}\n` : `${error.message}\n`;
  sendText(exchange, status, text, {
    ...headers,
    [answeredBy]: isOfFunction ? 'function' : 'front-end',
    'axle-code': error.code,
    'axle-retryable': String(error.retryable),
    ...(status === 401 ? { 'www-authenticate': 'Basic realm="axle", charset="UTF-8"' } : {}),
    ...(status === 429 || status === 503 ? { 'retry-after': retrySeconds(error) } : {}),
  });
}

/** A second where nobody knows, since the header has no less. */
function retrySeconds({ retryAfterMs = 0 }: AxleError): string {
  return String(Math.max(1, Math.ceil(retryAfterMs / msPerSecond)));
}

/** Otherwise the client would have to send all of a body that nobody wants. */
export function endConnectionIfUnread({ request, response }: Exchange): void {
  if (!request.complete) response.shouldKeepAlive = false;
}

export function canAnswer({ response }: Exchange): boolean {
  return !response.headersSent && !response.destroyed;
}

/** A query's parameter, the first of its name. */
export function parameterOf({ query }: Exchange, name: string): string | undefined {
  return query === '' ? undefined : (new URLSearchParams(query).get(name) ?? undefined);
}
