import type { Device } from '../backend.js';
import { AxleError } from '../errors.js';
import { isOfDevice, type CircuitBreaker } from './circuit-breaker.js';
import type { HealthMonitor } from './health-monitor.js';

/** What is to be told of each failure of a device: the breaker counts it, and the device is asked how it is. */
export function failureListener(
  breaker: CircuitBreaker,
  health: HealthMonitor,
): (device: Device, error: unknown) => void {
  return (device, error) => {
    if (!(error instanceof AxleError)) return;
    breaker.failed(device, error);
    if (isOfDevice(error)) health.suspect(device);
  };
}
