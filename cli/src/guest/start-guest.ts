import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';

import type { PoolAccess, RunningGuest, StartGuest } from '@axle/faas';
import type { MachineOptions } from '@axle/unikernel-glue';

const unixProtocol = 'axle+unix:';

/**
 * Starts guests of functions with QEMU. A guest proves to the pool who it is as any other instance does: by its token.
 *
 * @throws (the function) AxleError as `readGuestImage` and `Machine` say; UNIMPLEMENTED for a pool on another machine.
 */
export const startGuest: StartGuest = async ({ runtime, image, memoryMiB, pool }, signal) => {
  const glue = await import('@axle/unikernel-glue');
  const { AxleError } = await import('axle');
  try {
    const vmm = await glue.findVmm();
    const found = await glue.readGuestImage(image);
    if (found.kind !== runtime) {
      const message = `its image is of a ${found.kind}, and its runtime is '${runtime}'; make them one`;
      throw new AxleError('FAILED_PRECONDITION', message);
    }
    const accelerator = await glue.bestAccelerator(vmm);
    const socket = socketOf(pool, (message) => new AxleError('UNIMPLEMENTED', message));
    signal.throwIfAborted();
    const options: MachineOptions = { image: found, memoryMiB, accelerator, hasCalls: true };
    const machine = new glue.Machine(vmm, options);
    const { axle } = machine;
    if (axle !== undefined) glue.joinWhenHeard(axle, () => connectTo(socket));
    return runningGuest(machine, new AxleError('UNAVAILABLE', 'it was ended'));
  } catch (error) {
    if (!(error instanceof glue.GuestError)) throw error;
    throw new AxleError(error.code, error.message, { cause: error });
  }
};

interface StartedMachine extends Pick<RunningGuest, 'pid'> {
  readonly serial: RunningGuest['printed'];
  readonly calls: Duplex | undefined;
  end(reason: Error): void;
  ended(): Promise<void>;
}

function runningGuest(machine: StartedMachine, killed: Error): RunningGuest {
  const { serial, calls, pid } = machine;
  if (calls === undefined) throw new Error('a machine of a function has a port for its calls');
  // From now on, or its failure to start would be nobody's.
  const how = machine.ended().then(
    () => 'the guest powered off',
    (error: unknown) => (error as Error).message,
  );
  return {
    ...{ calls, printed: serial, pid },
    kill: () => {
      machine.end(killed);
    },
    onEnd: (ended) => {
      void how.then(ended);
    },
  };
}

/** Of the server; undefined: the function has no pool. */
function socketOf(
  pool: PoolAccess | undefined,
  unimplemented: (message: string) => Error,
): string | undefined {
  if (pool === undefined) return undefined;
  const { protocol, pathname } = new URL(pool.url);
  if (protocol === unixProtocol) return decodeURIComponent(pathname);
  throw unimplemented(
    `guests reach a pool on this machine only, by ${unixProtocol}; run axle serve --listen unix:PATH --backend ${pool.url}`,
  );
}

/** Without a server the guest's stream ends. */
function connectTo(path: string | undefined): Promise<Duplex> {
  if (path === undefined) return Promise.reject(new Error('the function has no pool'));
  return Promise.resolve(connectSocket({ path }));
}
