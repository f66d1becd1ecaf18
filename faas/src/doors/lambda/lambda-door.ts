import { randomUUID } from 'node:crypto';

import type { AxleError } from 'axle';

import { asAxleError } from '../../as-axle-error.js';
import type { AsyncCalls } from '../../async/async-calls.js';
import { asyncBodyBytesMax } from '../../async/async-limits.js';
import type { FunctionAnswer, FunctionCall } from '../../calls/function-call.js';
import { functionFailureOf, withDetails } from '../../calls/function-failure.js';
import { isTooLong, wholeBody } from '../../calls/whole-body.js';
import type { Functions } from '../../functions/functions.js';
import type { FunctionLogs } from '../../logs/function-logs.js';
import type { GatewayMetrics } from '../../metrics/gateway-metrics.js';
import { canAnswer, endConnectionIfUnread, parameterOf, type Exchange } from '../exchange.js';
import type { FailureLog } from '../failure-log.js';
import type { ReceiveBudget } from '../receive-budget.js';
import { watchCall } from '../watch-call.js';
import { LambdaError } from './lambda-error.js';
import { lambdaFailureOf } from './lambda-failure.js';
import {
  checkSignature,
  readSignature,
  type Credentials,
  type SignedRequest,
} from './signature-v4.js';

export interface LambdaDoorOptions {
  readonly functions: Functions;
  readonly asyncCalls: AsyncCalls;
  readonly logs: FunctionLogs;
  readonly metrics: GatewayMetrics;
  readonly credentials: Credentials;
  readonly budget: ReceiveBudget;
  readonly failed: FailureLog;
  readonly now?: () => number;
}

const payloadBytesMax = asyncBodyBytesMax;
const logTailBytes = 4096;
const path = /^\/2015-03-31\/functions\/([^/]+)\/invocations\/?$/;
const version = '$LATEST';

/** The Invoke of AWS Lambda's API, signed as AWS's SDKs do it: the key is the user of the front end, the secret its password. */
export class LambdaDoor {
  constructor(private readonly options: LambdaDoorOptions) {}

  async handle(exchange: Exchange): Promise<void> {
    const { request, response } = exchange;
    const id = randomUUID();
    response.setHeader('x-amzn-requestid', id);
    try {
      const match = path.exec(exchange.path);
      if (match === null || request.method !== 'POST') {
        throw new LambdaError(
          404,
          'UnknownOperationException',
          'of Lambda there is Invoke: POST /2015-03-31/functions/NAME/invocations',
        );
      }
      const payload = await this.authenticate(exchange);
      const name = functionNameOf(match[1] as string, parameterOf(exchange, 'Qualifier'));
      const { functions } = this.options;
      if (functions.get(name) === undefined && !functions.isBroken(name)) throw noFunction(name);
      functions.require(name);
      await this.invoke(exchange, id, name, payload);
    } catch (error) {
      if (!(error instanceof LambdaError))
        this.options.failed(error, `the request ${id} to Lambda's door`);
      sendError(exchange, error);
    }
  }

  /** @returns the body. */
  private async authenticate({ request, path: url, query }: Exchange): Promise<Buffer> {
    const { credentials, budget, now = Date.now } = this.options;
    const { method = '', rawHeaders } = request;
    const signed: SignedRequest = { method, path: url, query, rawHeaders };
    const signature = readSignature(signed, credentials, 'lambda', now());
    const payload = await budget.read(request, payloadBytesMax);
    checkSignature(signed, signature, credentials, payload);
    return payload;
  }

  private async invoke(
    exchange: Exchange,
    id: string,
    functionName: string,
    payload: Buffer,
  ): Promise<void> {
    const { request, response } = exchange;
    checkJson(payload);
    const { 'x-amz-client-context': context } = request.headers;
    const call = {
      ...{ id, functionName, method: 'POST', path: '/', query: '' },
      headers: {
        'content-type': 'application/json',
        ...(typeof context === 'string' ? { 'x-amz-client-context': context } : {}),
      },
    };
    const type = headerOf(exchange, 'x-amz-invocation-type') ?? 'RequestResponse';
    switch (type) {
      case 'DryRun':
        response.writeHead(204).end();
        return;
      case 'Event':
        await this.options.asyncCalls.accept({ ...call, callbackUrl: undefined }, payload);
        response.writeHead(202, { 'content-length': 0 }).end();
        return;
      case 'RequestResponse':
        await this.answer(exchange, {
          ...call,
          body: payload,
          signal: watchCall(response, this.options.metrics, functionName),
        });
        return;
      default:
        throw new LambdaError(
          400,
          'InvalidParameterValueException',
          'X-Amz-Invocation-Type takes RequestResponse, Event or DryRun',
        );
    }
  }

  private async answer(exchange: Exchange, call: FunctionCall): Promise<void> {
    const { functions, metrics } = this.options;
    const { id, functionName } = call;
    const since = new Date();
    let payload: Uint8Array;
    let failure: 'Handled' | 'Unhandled' | undefined;
    try {
      const { status, body, isColdStart } = await functions.invoke(call);
      if (isColdStart) metrics.coldStart(call.functionName);
      payload = await answerOf(body);
      failure = status < 400 ? undefined : 'Handled';
    } catch (thrown) {
      const { timeoutMs = 0 } = functions.get(functionName) ?? {};
      const told = lambdaFailureOf(asAxleError(thrown), { id, timeoutMs });
      if (told === undefined) throw thrown;
      failure = 'Unhandled';
      payload = Buffer.from(JSON.stringify(told));
    }
    if (!canAnswer(exchange)) return;
    exchange.response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': payload.byteLength,
      'x-amz-executed-version': version,
      ...(failure === undefined ? {} : { 'x-amz-function-error': failure }),
      ...this.logTail(exchange, call.functionName, since),
    });
    exchange.response.end(payload);
  }

  /** Of what the function printed meanwhile; with other calls at the same time, of theirs too. */
  private logTail(exchange: Exchange, name: string, since: Date): Readonly<Record<string, string>> {
    const type = headerOf(exchange, 'x-amz-log-type') ?? 'None';
    if (type !== 'Tail') return {};
    const text = this.options.logs
      .read(name, { since })
      .map((line) => `${line.text}\n`)
      .join('');
    return { 'x-amz-log-result': Buffer.from(text).subarray(-logTailBytes).toString('base64') };
  }
}

function headerOf({ request }: Exchange, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** NAME, NAME:QUALIFIER, ACCOUNT:function:NAME or an ARN. */
function functionNameOf(encodedName: string, qualifier: string | undefined): string {
  const parts = decoded(encodedName).split(':');
  const at = parts.indexOf('function');
  const [name = '', own, ...rest] = at < 0 ? parts : parts.slice(at + 1);
  const asked = qualifier ?? own ?? version;
  if (asked !== version || rest.length > 0) {
    throw new LambdaError(
      404,
      'ResourceNotFoundException',
      `functions have no versions or aliases here but ${version}`,
    );
  }
  return name;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new LambdaError(
      400,
      'InvalidParameterValueException',
      'the name of the function has a % that stands for nothing',
    );
  }
}

function checkJson(payload: Buffer): void {
  if (payload.byteLength === 0) return;
  try {
    JSON.parse(payload.toString());
  } catch {
    throw new LambdaError(400, 'InvalidRequestContentException', 'the payload is no JSON');
  }
}

function noFunction(name: string): LambdaError {
  return new LambdaError(
    404,
    'ResourceNotFoundException',
    `there is no function ${JSON.stringify(name.slice(0, 100))}; deploy it first`,
  );
}

/** @throws AxleError which says, with its details, that the function gave too much */
async function answerOf(body: FunctionAnswer['body']): Promise<Uint8Array> {
  try {
    return await wholeBody(body, payloadBytesMax, 'the answer');
  } catch (error) {
    if (!isTooLong(error)) throw error;
    const { message } = error;
    const details = { kind: 'threw' as const, type: 'Function.ResponseSizeTooLarge', message };
    throw withDetails(error, { ...details, trace: [] });
  }
}

function sendError(exchange: Exchange, thrown: unknown): void {
  const { response } = exchange;
  if (!canAnswer(exchange)) {
    response.destroy();
    return;
  }
  const { status, type, message } =
    thrown instanceof LambdaError ? thrown : lambdaErrorOf(asAxleError(thrown));
  const isCallers = status < 500;
  const body = Buffer.from(
    JSON.stringify({ Type: isCallers ? 'User' : 'Service', Message: message, message }),
  );
  endConnectionIfUnread(exchange);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': body.byteLength,
    'x-amzn-errortype': type,
  });
  response.end(body);
}

function lambdaErrorOf(error: AxleError): LambdaError {
  const { code, retryable, message } = error;
  // What keeps it from starting is for the operator to mend, and the client may try again.
  if (functionFailureOf(error) === 'broken')
    return new LambdaError(502, 'ResourceNotReadyException', message);
  // No instance was free in time.
  if (code === 'DEADLINE_EXCEEDED')
    return new LambdaError(429, 'TooManyRequestsException', message);
  if (code === 'NOT_FOUND') return new LambdaError(404, 'ResourceNotFoundException', message);
  if (code === 'INVALID_ARGUMENT')
    return new LambdaError(400, 'InvalidParameterValueException', message);
  if (code === 'RESOURCE_EXHAUSTED') {
    return retryable
      ? new LambdaError(429, 'TooManyRequestsException', message)
      : new LambdaError(413, 'RequestTooLargeException', message);
  }
  return new LambdaError(500, 'ServiceException', message);
}
