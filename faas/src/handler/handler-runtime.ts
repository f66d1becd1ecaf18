import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { AxleError } from 'axle/errors';

import type { ServedCall } from '../channel/instance-channel.js';
import { FunctionContext, type FunctionSurroundings } from './function-context.js';
import { FunctionEvent } from './function-event.js';
import { readResult } from './function-result.js';
import { failureOf, messageOf, ofLoading } from './handler-failure.js';

/** The default export of a function's module. */
export type Handler = (event: FunctionEvent, context: FunctionContext) => unknown;

/** @throws AxleError FAILED_PRECONDITION with what the module threw, or without a function as its default export. */
export async function loadHandler(folder: string, path: string): Promise<Handler> {
  let module: Partial<Record<string, unknown>>;
  try {
    module = (await import(pathToFileURL(join(folder, path)).href)) as typeof module;
  } catch (error) {
    console.error(error);
    const message = `the handler ${path} cannot be loaded: ${messageOf(error)}`;
    throw ofLoading(new AxleError('FAILED_PRECONDITION', message, { cause: error }), error);
  }
  // Of a CommonJS module that was an ES module once, the default export is one deeper.
  const outer = module['default'] as { readonly default?: unknown } | undefined;
  for (const each of [outer, outer?.default])
    if (typeof each === 'function') return each as Handler;
  const message = `the handler ${path} has no function as its default export; write: export default async (event, context) => ...`;
  throw new AxleError('FAILED_PRECONDITION', message);
}

/** Runs a call, and answers it whatever the handler does. */
export async function runHandler(
  handler: Handler,
  call: ServedCall,
  surroundings: FunctionSurroundings,
): Promise<void> {
  try {
    const event = new FunctionEvent(call.head, call.body);
    const value = await handler(event, new FunctionContext(call, surroundings));
    const { status, headers, body } = readResult(value);
    if (body instanceof Uint8Array) call.answer(status, headers, body);
    else await call.stream(status, headers, body);
  } catch (error) {
    // What it did not end for anybody is nobody's error.
    if (!call.isCancelled) printError(call.head.id, error);
    call.fail(failureOf(error));
  }
}

/** Also of what throws when it is looked at: the other calls of the instance are not to end by it. */
function printError(callId: string, error: unknown): void {
  try {
    console.error(`[${callId}]`, error);
  } catch {
    console.error(`[${callId}] an error that cannot be printed`);
  }
}
