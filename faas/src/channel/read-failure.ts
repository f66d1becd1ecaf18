import { AxleError, ErrorCode, type ErrorCodeName } from 'axle';

import {
  failureMessageMax,
  thrownTypeMax,
  traceLineMax,
  traceLinesMax,
  type ThrownError,
} from './failure.js';
import { readJson } from './frame.js';

export interface ReadFailure {
  readonly error: AxleError;
  readonly isBodyTooLarge: boolean;
  readonly thrown: ThrownError | undefined;
}

/** An instance may say anything. @throws AxleError DATA_LOSS for what is no JSON */
export function readFailure(payload: Buffer): ReadFailure {
  const said = (readJson(payload) ?? {}) as Partial<Record<string, unknown>>;
  const { code, message, retryable, isBodyTooLarge, thrown } = said;
  const isCode = typeof code === 'string' && code !== 'OK' && Object.hasOwn(ErrorCode, code);
  const error = new AxleError(
    isCode ? (code as ErrorCodeName) : 'INTERNAL',
    textOf(message, failureMessageMax) ?? 'the function failed',
    typeof retryable === 'boolean' ? { retryable } : {},
  );
  return { error, isBodyTooLarge: isBodyTooLarge === true, thrown: readThrown(thrown) };
}

function readThrown(thrown: unknown): ThrownError | undefined {
  const { type, message, trace } = (thrown ?? {}) as Partial<Record<string, unknown>>;
  const name = textOf(type, thrownTypeMax);
  if (name === undefined) return undefined;
  const lines = Array.isArray(trace) ? trace.slice(0, traceLinesMax) : [];
  return {
    type: name,
    message: textOf(message, failureMessageMax) ?? '',
    trace: lines.map((line) => textOf(line, traceLineMax) ?? ''),
  };
}

function textOf(value: unknown, charactersMax: number): string | undefined {
  return typeof value === 'string' ? value.slice(0, charactersMax) : undefined;
}
