import type { ChildProcess } from 'node:child_process';

import { AxleError } from 'axle';

import { ofFunction, withDetails } from '../calls/function-failure.js';

/** Why an instance, or a run of a command, was ended: what its calls fail with. */
export function overMemory(what: string, memoryMiB: number): AxleError {
  const message = `the function ${what}, and its limit is ${memoryMiB} MiB (memoryMiB)`;
  const error = new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
  return withDetails(ofFunction(error, 'broken'), { kind: 'overMemory' });
}

/** The function's own doing, and none of the front end's. */
export function exited(message: string): AxleError {
  return withDetails(unavailable(message), { kind: 'exited' });
}

export function unavailable(message: string): AxleError {
  return ofFunction(new AxleError('UNAVAILABLE', message), 'away');
}

export function exitOf({ exitCode, signalCode }: ChildProcess): string {
  return signalCode ?? `exit code ${exitCode}`;
}

export function guestsNeedMachines(): AxleError {
  const message =
    'this front end starts no virtual machines: a function with a runtime does not run here';
  return new AxleError('UNIMPLEMENTED', message);
}
