import { AxleError, priorityOfLevel } from '@axle/core/internal';

import type { Parameters, ParameterValue } from './infer-request.js';

/** What a request's parameters ask of its call. */
export interface CallParameters {
  /** As core has it, higher first. */
  readonly priority: number;
  /** Milliseconds; undefined: none. */
  readonly timeoutMs: number | undefined;
  /** The answer is to say that it is the last one. */
  readonly marksFinal: boolean;
}

const usPerMs = 1000;
const plain: CallParameters = { priority: 0, timeoutMs: undefined, marksFinal: false };

/**
 * Reads `priority` (0: none; 1 goes first, and n before n + 1) and `timeout` (microseconds; 0: none). What is not known
 * here is no business of the server's, as in Triton.
 *
 * @throws AxleError INVALID_ARGUMENT for a value that means nothing; UNIMPLEMENTED for sequences.
 */
export function callParameters(parameters: Parameters): CallParameters {
  if (parameters.size === 0) return plain;
  refuseSequences(parameters);
  const level = countOf(parameters, 'priority') ?? 0;
  const timeoutUs = countOf(parameters, 'timeout') ?? 0;
  return {
    priority: level === 0 ? 0 : priorityOfLevel(level),
    timeoutMs: timeoutUs === 0 ? undefined : timeoutUs / usPerMs,
    marksFinal: flagOf(parameters, 'triton_enable_empty_final_response'),
  };
}

/** A whole number from 0 up. @throws AxleError INVALID_ARGUMENT */
export function countOf(parameters: Parameters, name: string): number | undefined {
  const value = parameters.get(name);
  if (value === undefined) return undefined;
  const count = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof count !== 'boolean' && Number.isSafeInteger(Number(count)) && Number(count) >= 0) {
    return Number(count);
  }
  throw wrong(name, value, `a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`);
}

/** @throws AxleError INVALID_ARGUMENT */
export function flagOf(parameters: Parameters, name: string, otherwise = false): boolean {
  const value = parameters.get(name);
  if (value === undefined) return otherwise;
  if (typeof value === 'boolean') return value;
  throw wrong(name, value, 'true or false');
}

/** @throws AxleError INVALID_ARGUMENT */
export function textOf(parameters: Parameters, name: string): string | undefined {
  const value = parameters.get(name);
  if (value === undefined || typeof value === 'string') return value;
  throw wrong(name, value, 'text');
}

/** Clients write the values that stand for no sequence, too. */
function refuseSequences(parameters: Parameters): void {
  for (const name of ['sequence_id', 'sequence_start', 'sequence_end']) {
    const value = parameters.get(name);
    const absent = value === undefined || value === false || value === '' || Number(value) === 0;
    if (absent) continue;
    throw new AxleError(
      'UNIMPLEMENTED',
      `parameter '${name}': this server has no sequences; keep the state in inputs and outputs of the model`,
    );
  }
}

function wrong(name: string, value: ParameterValue, wanted: string): AxleError {
  const shown = typeof value === 'string' ? 'text' : String(value);
  return new AxleError('INVALID_ARGUMENT', `parameter '${name}' is ${shown}; give ${wanted}`);
}
