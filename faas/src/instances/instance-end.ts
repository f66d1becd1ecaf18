import type { ChildProcess } from 'node:child_process';

import { AxleError } from 'axle';

/** Why an instance, or a run of a command, was ended: what its calls fail with. */
export function overMemory(what: string, memoryMiB: number): AxleError {
  const message = `the function ${what}, and its limit is ${memoryMiB} MiB (memoryMiB)`;
  return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
}

export function unavailable(message: string): AxleError {
  return new AxleError('UNAVAILABLE', message);
}

export function exitOf({ exitCode, signalCode }: ChildProcess): string {
  return signalCode ?? `exit code ${exitCode}`;
}
