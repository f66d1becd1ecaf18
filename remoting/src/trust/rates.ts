import { AxleError } from '@axle/core/internal';

/** What a tenant may do in a time; Infinity: as much as it likes. */
export interface RateLimits {
  readonly callsPerSecond: number;
  /** Calls that may come at once after a pause. */
  readonly callsBurst: number;
  /** Time of all devices together, milliseconds; what is used too much is waited for. */
  readonly deviceMsPerSecond: number;
}

export const noRateLimits: RateLimits = {
  callsPerSecond: Infinity,
  callsBurst: Infinity,
  deviceMsPerSecond: Infinity,
};

const msPerSecond = 1000;
/** Seconds' worth of device time that a pause saves up. */
const deviceBurstSeconds = 1;

/** What is left of so much a second, of which a pause saves some up. */
class Bucket {
  private left: number;
  private filledAt: number;

  constructor(
    private perMs: number,
    private most: number,
    now: number,
  ) {
    this.left = most;
    this.filledAt = now;
  }

  set(perMs: number, most: number, now: number): void {
    this.fill(now);
    if (this.left === Infinity) this.left = most;
    this.left = Math.min(this.left, most);
    this.perMs = perMs;
    this.most = most;
  }

  /** How long until there is so much, milliseconds; 0: it is there. */
  msUntil(amount: number, now: number): number {
    this.fill(now);
    return this.left >= amount ? 0 : (amount - this.left) / this.perMs;
  }

  take(amount: number): void {
    this.left -= amount;
  }

  private fill(now: number): void {
    const passedMs = Math.max(0, now - this.filledAt);
    this.filledAt = now;
    if (this.most !== Infinity) this.left = Math.min(this.most, this.left + passedMs * this.perMs);
  }
}

/** Holds one tenant to its rates. Pure: the time comes in with each call. */
export class Rates {
  private readonly calls: Bucket;
  private readonly device: Bucket;

  /** @param owner as messages call it: 'tenant alice' */
  constructor(
    private readonly owner: string,
    private current: RateLimits,
    now: number,
  ) {
    const { callsPerSecond, callsBurst, deviceMsPerSecond } = current;
    this.calls = new Bucket(callsPerSecond / msPerSecond, callsBurst, now);
    const deviceMost = deviceBurstSeconds * deviceMsPerSecond;
    this.device = new Bucket(deviceMsPerSecond / msPerSecond, deviceMost, now);
  }

  get limits(): RateLimits {
    return this.current;
  }

  get areUnlimited(): boolean {
    const { callsPerSecond, deviceMsPerSecond } = this.current;
    return callsPerSecond === Infinity && deviceMsPerSecond === Infinity;
  }

  /** From now on; what was used stays used. */
  update(limits: RateLimits, now: number): void {
    if (limits === this.current) return;
    this.current = limits;
    const { callsPerSecond, callsBurst, deviceMsPerSecond } = limits;
    this.calls.set(callsPerSecond / msPerSecond, callsBurst, now);
    this.device.set(deviceMsPerSecond / msPerSecond, deviceBurstSeconds * deviceMsPerSecond, now);
  }

  /**
   * Takes one more call in.
   *
   * @throws AxleError RESOURCE_EXHAUSTED, saying when it would be taken.
   */
  admit(now: number): void {
    if (this.areUnlimited) return;
    const { callsPerSecond, deviceMsPerSecond } = this.current;
    const callsMs = this.calls.msUntil(1, now);
    if (callsMs > 0) throw this.refused(`${callsPerSecond} calls a second`, callsMs);
    // Nobody knows what a call will take: the one that uses up the rest is let through, and the next one waits for it.
    const deviceMs = this.device.msUntil(0, now);
    if (deviceMs > 0) throw this.refused(`${deviceMsPerSecond} ms of devices a second`, deviceMs);
    this.calls.take(1);
  }

  /** A call of it used a device. */
  used(deviceMs: number): void {
    if (this.current.deviceMsPerSecond !== Infinity) this.device.take(deviceMs);
  }

  private refused(what: string, retryAfterMs: number): AxleError {
    return AxleError.expected(
      'RESOURCE_EXHAUSTED',
      `${this.owner} may have ${what}; try again in ${Math.ceil(retryAfterMs)} ms`,
      { retryAfterMs },
    );
  }
}
