import type { DoorClient } from './door-clients.js';

/**
 * Does the work of one call, with its input charged to its tenant meanwhile.
 *
 * @throws AxleError RESOURCE_EXHAUSTED past a quota or rate.
 */
export async function charged<T>(
  { tenant }: DoorClient,
  inputBytes: number,
  work: () => Promise<T>,
): Promise<T> {
  const { usage } = tenant;
  tenant.admitCall();
  usage.take('calls');
  try {
    usage.take('requestBytes', inputBytes);
    try {
      return await work();
    } finally {
      usage.give('requestBytes', inputBytes);
    }
  } finally {
    usage.give('calls');
  }
}
