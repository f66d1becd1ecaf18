import type { AsyncCalls } from '../../async/async-calls.js';
import { asyncBodyBytesMax } from '../../async/async-limits.js';
import { checkCallbackUrl } from '../../async/callback.js';
import type { FunctionCall } from '../../calls/function-call.js';
import { wholeBody } from '../../calls/whole-body.js';
import type { Functions } from '../../functions/functions.js';
import type { BasicAuth } from '../basic-auth.js';
import { requestHeaders } from '../call-headers.js';
import { fromCloudEvent } from '../cloud-event.js';
import { sendText, type Exchange } from '../exchange.js';
import type { ReceiveBudget } from '../receive-budget.js';
import { callIdOf, callTarget } from './call-route.js';

export interface AsyncRouteOptions {
  readonly functions: Functions;
  readonly asyncCalls: AsyncCalls;
  readonly auth: BasicAuth;
  readonly budget: ReceiveBudget;
  readonly callbackHosts: readonly string[] | undefined;
}

/** Calls that are answered with 202 once they are on disk. */
export class AsyncRoute {
  constructor(private readonly options: AsyncRouteOptions) {}

  async handle(exchange: Exchange): Promise<void> {
    const { functions, auth, callbackHosts } = this.options;
    const { request } = exchange;
    const target = callTarget(exchange.path, '/async-function/');
    const { name } = functions.require(target.name);
    const id = callIdOf(exchange);
    const { 'x-callback-url': callback, ...headers } = requestHeaders(request, auth, id);
    const callbackUrl =
      callback === undefined
        ? undefined
        : checkCallbackUrl([callback].flat().join(), callbackHosts);
    const startedAt = Date.now();
    const call: FunctionCall = {
      ...{
        id,
        functionName: name,
        path: target.path,
        query: exchange.query,
        headers,
      },
      method: request.method ?? 'POST',
      body: noBytes,
      signal: neverAborted,
    };
    await this.accept(exchange, call, callbackUrl);
    sendText(exchange, 202, '', { 'x-call-id': call.id, 'x-start-time': `${startedAt}000000` });
  }

  /** Settles when it is on disk. */
  private async accept(
    { request }: Exchange,
    call: FunctionCall,
    callbackUrl: string | undefined,
  ): Promise<void> {
    const received = await this.options.budget.read(request, asyncBodyBytesMax);
    const event = await fromCloudEvent({ ...call, body: received });
    const { id, functionName, method, path, query, headers } = event;
    const body = await wholeBody(event.body, asyncBodyBytesMax, 'the call');
    await this.options.asyncCalls.accept(
      { id, functionName, method, path, query, headers, callbackUrl },
      body,
    );
  }
}

const noBytes = new Uint8Array();
const neverAborted = new AbortController().signal;
