import { randomUUID } from 'node:crypto';

import { AxleError } from 'axle';

import type { Calls, FunctionAnswer, FunctionCall } from '../../calls/function-call.js';
import { ofFunction } from '../../calls/function-failure.js';
import type { Functions } from '../../functions/functions.js';
import type { GatewayMetrics } from '../../metrics/gateway-metrics.js';
import type { BasicAuth } from '../basic-auth.js';
import { answerHeaders, requestHeaders } from '../call-headers.js';
import { fromCloudEvent } from '../cloud-event.js';
import { callIdPattern, functionBodyBytesMax } from '../door-limits.js';
import {
  answeredBy,
  canAnswer,
  endConnectionIfUnread,
  sendError,
  type Exchange,
} from '../exchange.js';
import type { FailureLog } from '../failure-log.js';
import { foreignPage, isPageVisit } from '../foreign-page.js';
import { bodyOf, checkLength, readBody } from '../read-body.js';
import { watchCall } from '../watch-call.js';

export interface CallRouteOptions {
  readonly functions: Functions;
  readonly calls: Calls;
  readonly metrics: GatewayMetrics;
  readonly auth: BasicAuth;
  readonly failed: FailureLog;
}

/** What a request to /function/ or /async-function/ asks for. */
export interface CallTarget {
  readonly name: string;
  /** Below the function, from '/'. */
  readonly path: string;
}

const wholeBytesMax = 64 * 1024;
const noBytes = new Uint8Array();
const bodiless: ReadonlySet<number> = new Set([204, 304]);

/**
 * Reads /function/NAME[.openfaas-fn][/path].
 *
 * @throws AxleError NOT_FOUND
 */
export function callTarget(path: string, prefix: string): CallTarget {
  const slash = path.indexOf('/', prefix.length);
  const end = slash < 0 ? path.length : slash;
  const name = path.slice(prefix.length, end).replace(/\.openfaas-fn$/, '');
  return { name, path: slash < 0 ? '/' : path.slice(slash) };
}

/** The caller's own id, so that its repeats can be told, or a new one. @throws AxleError INVALID_ARGUMENT for what is none. */
export function callIdOf({ request }: Exchange): string {
  const id = [request.headers['x-call-id'] ?? ''].flat().join(', ');
  if (id === '') return randomUUID();
  if (callIdPattern.test(id)) return id;
  throw AxleError.expected(
    'INVALID_ARGUMENT',
    'X-Call-Id takes one id of 1 to 64 letters, digits, _ and -; leave it out to be given one',
  );
}

/** Calls of functions by anyone, with bodies that go through as they come. */
export class CallRoute {
  constructor(private readonly options: CallRouteOptions) {}

  async handle(exchange: Exchange): Promise<void> {
    const { functions, calls, metrics } = this.options;
    const target = callTarget(exchange.path, '/function/');
    const { name } = functions.require(target.name);
    const { request, response } = exchange;
    const startedAt = performance.now();
    const at = Date.now();
    const id = callIdOf(exchange);
    const signal = watchCall(response, metrics, name);
    const isVisit = isPageVisit(request);
    const own = () => ({
      'x-call-id': id,
      'x-start-time': `${at}000000`,
      'x-duration-seconds': ((performance.now() - startedAt) / 1000).toFixed(6),
    });
    try {
      checkLength(request, functionBodyBytesMax);
      const call: FunctionCall = await fromCloudEvent({
        id,
        functionName: name,
        method: request.method ?? 'GET',
        path: target.path,
        query: exchange.query,
        headers: requestHeaders(request, this.options.auth, id),
        body: await callBody(exchange),
        signal,
      });
      const answer = await calls.invoke(call);
      if (answer.isColdStart) metrics.coldStart(name);
      send(exchange, answer, own(), isVisit);
    } catch (error) {
      this.options.failed(error, `the call ${id} of ${name}`);
      sendError(exchange, error, { ...own(), ...(isVisit ? foreignPage({}) : {}) });
    }
  }
}

/** Whole where it is small, which is cheaper, and otherwise as it comes. */
function callBody({ request }: Exchange): Promise<Uint8Array> | AsyncIterable<Uint8Array> {
  const { headers } = request;
  if (headers['transfer-encoding'] !== undefined) return bodyOf(request, functionBodyBytesMax);
  const length = Number(headers['content-length'] ?? 0);
  if (length === 0) return Promise.resolve(noBytes);
  return length <= wholeBytesMax ? readBody(request, wholeBytesMax) : bodyOf(request);
}

function send(
  exchange: Exchange,
  answer: FunctionAnswer,
  own: Readonly<Record<string, string>>,
  isVisit: boolean,
): void {
  const { response } = exchange;
  const { status, headers, body } = answer;
  const isWhole = body instanceof Uint8Array;
  if (!canAnswer(exchange)) {
    if (!isWhole) body.destroy();
    return;
  }
  // A function need not read all of what comes.
  endConnectionIfUnread(exchange);
  try {
    // HTTP has no length for an answer that never has a body.
    const hasLength = isWhole && !bodiless.has(status);
    const length = hasLength ? { 'content-length': body.byteLength } : {};
    const said = { ...answerHeaders(headers), ...own, [answeredBy]: 'function' };
    response.writeHead(status, { ...said, ...length, ...(isVisit ? foreignPage(headers) : {}) });
  } catch (error) {
    if (!isWhole) body.destroy();
    const reason = (error as Error).message;
    const message = `the function answered with what is no HTTP: ${reason}`;
    throw ofFunction(new AxleError('INTERNAL', message, { cause: error }), 'threw');
  }
  if (isWhole) {
    if (bodiless.has(status)) response.end();
    else response.end(body);
    return;
  }
  // The status is on its way: all that can still be said is that the answer is not whole.
  body.once('error', () => response.destroy());
  response.once('close', () => body.destroy());
  body.pipe(response);
}
