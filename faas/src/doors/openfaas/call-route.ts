import { randomUUID } from 'node:crypto';
import { finished } from 'node:stream';

import { AxleError } from 'axle';

import type { Calls, FunctionAnswer, FunctionCall } from '../../calls/function-call.js';
import type { Functions } from '../../functions/functions.js';
import type { GatewayMetrics } from '../../metrics/gateway-metrics.js';
import type { BasicAuth } from '../basic-auth.js';
import { answerHeaders, requestHeaders } from '../call-headers.js';
import { fromCloudEvent } from '../cloud-event.js';
import { callIdPattern, functionBodyBytesMax } from '../door-limits.js';
import { canAnswer, sendError, type Exchange } from '../exchange.js';
import { bodyOf, checkLength } from '../read-body.js';

export interface CallRouteOptions {
  readonly functions: Functions;
  readonly calls: Calls;
  readonly metrics: GatewayMetrics;
  readonly auth: BasicAuth;
}

/** What a request to /function/ or /async-function/ asks for. */
export interface CallTarget {
  readonly name: string;
  /** Below the function, from '/'. */
  readonly path: string;
}

const clientGone = 499;
const statusMin = 200;
const statusMax = 599;

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

/** The caller's own id, so that its repeats can be told, or a new one. */
export function callIdOf({ request }: Exchange): string {
  const { 'x-call-id': id } = request.headers;
  return typeof id === 'string' && callIdPattern.test(id) ? id : randomUUID();
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
    const controller = new AbortController();
    metrics.start(name);
    finished(response, (error) => {
      if (error) controller.abort(AxleError.expected('CANCELLED', 'the caller went away'));
      metrics.end(name, error ? clientGone : response.statusCode, performance.now() - startedAt);
    });
    const id = callIdOf(exchange);
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
        headers: requestHeaders(request, this.options.auth),
        body: hasBody(exchange) ? bodyOf(request, functionBodyBytesMax) : noBody,
        signal: controller.signal,
      });
      send(exchange, await calls.invoke(call), own());
    } catch (error) {
      sendError(exchange, error, own());
    }
  }
}

function hasBody({ request: { headers } }: Exchange): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

const noBody: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
};

function send(
  exchange: Exchange,
  answer: FunctionAnswer,
  own: Readonly<Record<string, string>>,
): void {
  const { response } = exchange;
  const { status, headers, body } = answer;
  if (!canAnswer(exchange)) {
    body.destroy();
    return;
  }
  // Of a function that says one length and gives another, the client shall not take the one answer for two.
  response.strictContentLength = true;
  try {
    if (status < statusMin || status > statusMax) throw new RangeError(`${status} is no status`);
    response.writeHead(status, { ...answerHeaders(headers), ...own });
  } catch (error) {
    body.destroy();
    throw new AxleError(
      'INTERNAL',
      `the function answered with what is no HTTP: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
  // The status is on its way: all that can still be said is that the answer is not whole.
  body.once('error', () => response.destroy());
  response.once('close', () => body.destroy());
  body.pipe(guarded(exchange));
}

/** Writes that break the announced length end the connection instead of the process. */
function guarded({ response }: Exchange): NodeJS.WritableStream {
  response.once('error', () => response.destroy());
  return response;
}
