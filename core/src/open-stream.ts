import type { BackendStream } from './backend.js';
import type { CallOptions } from './client.js';
import { AxleError } from './errors.js';
import { hasFlag } from './op.js';
import type { Chain } from './plans/chain.js';
import { preferenceOf, type Session } from './session.js';
import { publishingStream } from './task-channel.js';
import { activeTrace } from './trace-context.js';

/** A stream on a device, and which one that is. */
export interface OpenedStream {
  readonly stream: BackendStream;
  readonly device: string;
}

/**
 * Opens a stream of a chain of one step on the device that the router puts first among those that run it as a stream.
 *
 * @param deadlineAt on the runtime's clock, for backends that can make use of it
 * @throws AxleError UNIMPLEMENTED where no device does; as the router and the backend say.
 */
export function openStream(
  { runtime, tenant }: Session,
  chain: Chain,
  options: Pick<CallOptions, 'device' | 'strict' | 'priority'>,
  deadlineAt: number | undefined,
): OpenedStream {
  const plans = runtime.router.plans(chain, undefined, preferenceOf(options), 0);
  const segment = plans
    .map((plan) => plan.segments[0])
    .find((s) => s && hasFlag(s.flags, 'STREAMABLE'));
  const { op } = chain;
  if (segment === undefined) {
    throw new AxleError(
      'UNIMPLEMENTED',
      `no device here offers ${op} as a stream; see axle devices`,
    );
  }
  const { backend, device, range, args, label } = segment;
  const { priority = 0 } = options;
  const opened = backend.openStream(device, range, args, {
    deadlineAt,
    priority,
    tenant,
    trace: activeTrace(),
  });
  const name = { op, step: label, device: device.id, model: undefined, tenant };
  return { stream: publishingStream(opened, name, runtime.uses), device: device.id };
}
