import type { Device } from '../backend.js';
import type { AxleError } from '../errors.js';

/** Failures in a row after which a device is left alone. */
const failuresMax = 5;
/** How long it is left alone at first; twice as long after each probe that fails, up to the most. */
const coolDownMs = 1000;
const coolDownMsMax = 60_000;

const deviceCodes: ReadonlySet<string> = new Set(['UNAVAILABLE', 'INTERNAL', 'UNKNOWN']);

/** Whether a failure is the device's and not the call's. */
export function isOfDevice(error: AxleError): boolean {
  return deviceCodes.has(error.code);
}

interface Circuit {
  failures: number;
  /** Why the last one failed. */
  message: string;
  coolDownMs: number;
  /** Open until then. */
  retryAt: number;
  /** One call was let through and has no outcome yet. */
  probing: boolean;
}

/**
 * Keeps calls from devices that fail again and again (Nygard, "Release It!", 2007): after some failures in a row the
 * circuit opens and others are preferred; after a while one call is let through, which closes it or opens it for twice
 * as long. An open device is a last resort, never forbidden: it may be the only one.
 */
export class CircuitBreaker {
  private readonly circuits = new Map<string, Circuit>();

  /** @param clock milliseconds. */
  constructor(private readonly clock: () => number) {}

  succeeded(device: Device): void {
    if (this.circuits.size > 0) this.circuits.delete(device.id);
  }

  failed(device: Device, error: AxleError): void {
    if (!isOfDevice(error)) return;
    const circuit = this.circuits.get(device.id) ?? {
      failures: 0,
      message: '',
      coolDownMs: coolDownMs / 2,
      retryAt: 0,
      probing: false,
    };
    circuit.failures += 1;
    circuit.message = error.message;
    // Calls that were under way when it opened say nothing new.
    if (circuit.failures === failuresMax || circuit.probing) {
      circuit.coolDownMs = Math.min(circuit.coolDownMs * 2, coolDownMsMax);
      circuit.retryAt = this.clock() + circuit.coolDownMs;
      circuit.probing = false;
    }
    this.circuits.set(device.id, circuit);
  }

  isOpen(device: Device): boolean {
    return this.openCircuit(device) !== undefined;
  }

  /** Why the device is left alone, for people; undefined when it is not. */
  reason(device: Device): string | undefined {
    const circuit = this.openCircuit(device);
    if (circuit === undefined) return undefined;
    const seconds = ((circuit.retryAt - this.clock()) / 1000).toFixed(1);
    return `failed ${circuit.failures} times in a row, the next try is in ${seconds} s: ${circuit.message}`;
  }

  /**
   * To be told when a call goes to the device. The first one after the cool-down is the probe: others are kept away
   * until it has an outcome, or for another cool-down.
   */
  entering(device: Device): void {
    if (this.circuits.size === 0) return;
    const circuit = this.circuits.get(device.id);
    if (circuit === undefined || circuit.failures < failuresMax) return;
    if (this.clock() < circuit.retryAt) return;
    circuit.retryAt = this.clock() + circuit.coolDownMs;
    circuit.probing = true;
  }

  private openCircuit(device: Device): Circuit | undefined {
    const circuit = this.circuits.get(device.id);
    if (circuit === undefined || circuit.failures < failuresMax) return undefined;
    return this.clock() < circuit.retryAt ? circuit : undefined;
  }
}
