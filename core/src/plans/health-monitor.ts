import type { Device, Health } from '../backend.js';
import { messageOf } from '../errors.js';
import type { Registry } from '../registry.js';

/** How long what a device said of its health is taken to hold, milliseconds. */
const holdsMs = 5000;

interface Known {
  health: Health;
  askedAt: number;
  asking: boolean;
}

const unasked: Health = { state: 'OK', message: '' };

/**
 * What devices say of their health, for choosing between them: asked in the background when a choice comes up and the
 * last answer is old, so that no call waits for it.
 */
export class HealthMonitor {
  private readonly known = new Map<string, Known>();

  /** @param clock milliseconds. */
  constructor(
    private readonly registry: Registry,
    private readonly clock: () => number,
  ) {}

  /** What the device said last; OK before it was asked. */
  of(device: Device): Health {
    let known = this.known.get(device.id);
    if (known === undefined) {
      known = { health: unasked, askedAt: -Infinity, asking: false };
      this.known.set(device.id, known);
    }
    if (this.clock() - known.askedAt >= holdsMs) void this.ask(device, known);
    return known.health;
  }

  /** To be told of a failure that may be the device's: it is asked before the next choice if it can be. */
  suspect(device: Device): void {
    const known = this.known.get(device.id);
    if (known !== undefined) void this.ask(device, known);
  }

  private async ask(device: Device, known: Known): Promise<void> {
    if (known.asking) return;
    known.asking = true;
    known.askedAt = this.clock();
    try {
      known.health = await this.registry.backendOf(device).health(device);
    } catch (error) {
      known.health = { state: 'LOST', message: messageOf(error) };
    } finally {
      known.asking = false;
    }
  }
}
