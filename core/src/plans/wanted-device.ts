import type { Device } from '../backend.js';
import { AxleError } from '../errors.js';
import { DeviceKind } from '../generated/constants.js';
import type { Registry } from '../registry.js';
import type { Preference } from './router.js';

/** Whether a device is what a caller names, an id, a backend or a kind, or has it as a part. */
export function isWanted(device: Device, wanted: string | undefined): boolean {
  if (wanted === undefined) return false;
  const { id, backend, kind } = device;
  const isNamed = id === wanted || backend === wanted || kind === wanted.toUpperCase();
  return isNamed || device.includes?.(wanted) === true;
}

/**
 * @throws AxleError NOT_FOUND for a name of nothing; with `strict`, UNAVAILABLE for a kind or a backend that is not here,
 * INVALID_ARGUMENT without a device.
 */
export function checkWanted(
  { devices, unavailable }: Pick<Registry, 'devices' | 'unavailable'>,
  { device, strict }: Preference,
): void {
  if (device === undefined) {
    if (!strict) return;
    throw new AxleError('INVALID_ARGUMENT', "'strict' needs 'device': say which device is meant");
  }
  if (devices.some((candidate) => isWanted(candidate, device))) return;
  const missing = unavailable.find(({ backend }) => backend === device);
  if (missing !== undefined && strict) {
    throw notHere(`'${device}' is not available here: ${missing.reason}`);
  }
  if (missing !== undefined || device.toUpperCase() in DeviceKind) {
    if (!strict) return;
    throw notHere(`there is no ${device} here; see axle devices`);
  }
  const known = devices.map(({ id }) => id).join(', ');
  throw new AxleError(
    'NOT_FOUND',
    `there is no device '${device}'; give one of ${known}, a backend, or a kind`,
  );
}

/** What is here does not change while a process runs: it would be the same next time. */
function notHere(message: string): AxleError {
  return new AxleError('UNAVAILABLE', message, { retryable: false });
}
