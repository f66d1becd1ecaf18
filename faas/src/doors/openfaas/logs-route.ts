import { AxleError } from 'axle';

import { checkNamespace, functionNamespace } from '../../functions/deployment-request.js';
import type { Functions } from '../../functions/functions.js';
import type { LogLine } from '../../instances/instance.js';
import type { FunctionLogs } from '../../logs/function-logs.js';
import { logBacklogBytesMax, logFollowersMax } from '../door-limits.js';
import { parameterOf, type Exchange } from '../exchange.js';

/** OpenFaaS's /system/logs: an object of JSON a line. */
export class LogsRoute {
  private followers = 0;

  constructor(
    private readonly options: { readonly functions: Functions; readonly logs: FunctionLogs },
  ) {}

  handle(exchange: Exchange): void {
    const { functions, logs } = this.options;
    checkNamespace(parameterOf(exchange, 'namespace'));
    const { name } = functions.require(
      (parameterOf(exchange, 'name') ?? '').replace(/\.openfaas-fn$/, ''),
    );
    const instance = parameterOf(exchange, 'instance') ?? '';
    const wanted = ({ instance: each }: LogLine) => instance === '' || each === instance;
    const follow = flagOf('follow', parameterOf(exchange, 'follow'));
    const range = { tail: tailOf(exchange), since: sinceOf(exchange) };
    if (follow && this.followers >= logFollowersMax) {
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `${logFollowersMax} clients follow logs already, the most`,
      );
    }
    const { response } = exchange;
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (const line of logs.read(name, range).filter(wanted)) response.write(lineOf(name, line));
    if (!follow) {
      response.end();
      return;
    }
    response.flushHeaders();
    this.followers += 1;
    const stop = logs.follow(name, (line) => {
      // A reader that is this far behind is not reading.
      if (response.writableLength > logBacklogBytesMax) response.destroy();
      else if (wanted(line)) response.write(lineOf(name, line));
    });
    response.once('close', () => {
      stop();
      this.followers -= 1;
    });
  }
}

function lineOf(name: string, { instance, at, text }: LogLine): string {
  return `${JSON.stringify({ name, namespace: functionNamespace, instance, timestamp: at.toISOString(), text })}\n`;
}

function flagOf(name: string, text = ''): boolean {
  if (text === '1' || text === 'true') return true;
  if (text === '' || text === '0' || text === 'false') return false;
  throw new AxleError('INVALID_ARGUMENT', `${name} takes true or false`);
}

/** @returns undefined: all; clients write that as -1. */
function tailOf(exchange: Exchange): number | undefined {
  const text = parameterOf(exchange, 'tail') ?? '-1';
  if (!/^(-1|\d{1,9})$/.test(text))
    throw new AxleError('INVALID_ARGUMENT', 'tail takes a whole number, or -1 for all');
  return Number(text) < 0 ? undefined : Number(text);
}

function sinceOf(exchange: Exchange): Date | undefined {
  const text = parameterOf(exchange, 'since') ?? '';
  if (text === '') return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw new AxleError('INVALID_ARGUMENT', 'since takes a time such as 2026-01-31T12:00:00Z');
  return new Date(ms);
}
