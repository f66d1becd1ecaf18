import type { DoorClient } from './door-clients.js';

/**
 * Charges one call and its input to its tenant.
 *
 * @returns what gives it back; to be called once.
 * @throws AxleError RESOURCE_EXHAUSTED past a quota or rate.
 */
export function charge({ tenant }: DoorClient, inputBytes: number): () => void {
  const { usage } = tenant;
  tenant.admitCall();
  usage.take('calls');
  try {
    usage.take('requestBytes', inputBytes);
  } catch (error) {
    usage.give('calls');
    throw error;
  }
  return () => {
    usage.give('requestBytes', inputBytes);
    usage.give('calls');
  };
}

/**
 * Does the work of one call, with its input charged to its tenant meanwhile.
 *
 * @throws AxleError as `charge`.
 */
export async function charged<T>(
  client: DoorClient,
  inputBytes: number,
  work: () => Promise<T>,
): Promise<T> {
  const giveBack = charge(client, inputBytes);
  try {
    return await work();
  } finally {
    giveBack();
  }
}
