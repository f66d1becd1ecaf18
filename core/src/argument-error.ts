import { inspect } from 'node:util';

import { AxleError } from './errors.js';

/** INVALID_ARGUMENT that shows what came, whatever it is: callers in plain JavaScript have no types to tell them. */
export function argumentError(what: string, value: unknown, wanted: string): AxleError {
  const whole = inspect(value, { depth: 0, maxStringLength: 100, breakLength: Infinity });
  // An error has its stack behind the first line.
  const [shown = ''] = whole.split('\n', 1);
  return new AxleError('INVALID_ARGUMENT', `${what} is ${shown}; give ${wanted}`);
}
