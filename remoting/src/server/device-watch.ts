import { messageOf, type Device, type Runtime, type TenantShare } from '@axle/core/internal';

import type { HealthFrame } from '../wire/frames.js';
import { settledWithin } from '../settled-within.js';
import { toWireUs } from '../wire/time.js';

/** How a device is, as the wire tells it. */
export type DeviceState = Pick<HealthFrame, 'state' | 'waitUs' | 'message'>;

/** @param device its position in the order of DESCRIBE */
export type StateListener = (device: number, state: DeviceState) => void;

/** How long those who want to know how devices are wait for one that does not say, milliseconds. */
const askMsMax = 1000;
/** A wait is told of again when it has changed by more than this factor, or by what is short anyway. */
const waitFactor = 2;
const shortWaitUs = 1000;

const unasked: DeviceState = { state: 'OK', waitUs: 0, message: '' };

interface Listener {
  readonly tell: StateListener;
  readonly share: TenantShare | undefined;
  /** By device. */
  readonly told: Map<string, DeviceState>;
}

/** How the devices of a runtime are: asked for every so often while somebody listens, and told of when it changes. */
export class DeviceWatch {
  private readonly known = new Map<string, Pick<DeviceState, 'state' | 'message'>>();
  private readonly listeners = new Set<Listener>();
  private timer: NodeJS.Timeout | undefined = undefined;
  private asking: Promise<void> | undefined = undefined;

  /** @param everyMs between two looks */
  constructor(
    private readonly runtime: Runtime,
    private readonly everyMs = 1000,
  ) {}

  /**
   * As the device said last; OK before it was asked.
   *
   * @param share whose wait for it is meant; undefined: that of one who waits for all that is there
   */
  of(device: Device, share?: TenantShare): DeviceState {
    const known = this.known.get(device.id) ?? unasked;
    return { ...known, waitUs: toWireUs(this.runtime.waitMsOf(device, share)) };
  }

  /** Asks all; does not wait for long for those that do not answer. */
  async refresh(): Promise<void> {
    await settledWithin(this.ask(), askMsMax);
  }

  /**
   * Tells of what is other than `of` says now.
   *
   * @returns what ends it
   */
  listen(tell: StateListener, share?: TenantShare): () => void {
    const { devices } = this.runtime.registry;
    const told = new Map(devices.map((device) => [device.id, this.of(device, share)]));
    const listener: Listener = { tell, share, told };
    this.listeners.add(listener);
    this.timer ??= setInterval(() => void this.ask(), this.everyMs).unref();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      clearInterval(this.timer);
      this.timer = undefined;
    };
  }

  private ask(): Promise<void> {
    this.asking ??= this.askAll().finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  private async askAll(): Promise<void> {
    const { devices } = this.runtime.registry;
    await Promise.all(
      devices.map(async (device, index) => {
        this.known.set(device.id, await this.stateOf(device));
        for (const { tell, share, told } of this.listeners) {
          const state = this.of(device, share);
          if (!isNews(told.get(device.id) ?? unasked, state)) continue;
          told.set(device.id, state);
          tell(index, state);
        }
      }),
    );
  }

  private async stateOf(device: Device): Promise<Pick<DeviceState, 'state' | 'message'>> {
    try {
      const { state, message } = await this.runtime.registry.backendOf(device).health(device);
      return { state, message };
    } catch (error) {
      return { state: 'LOST', message: messageOf(error) };
    }
  }
}

function isNews(before: DeviceState, now: DeviceState): boolean {
  if (before.state !== now.state || before.message !== now.message) return true;
  const longer = Math.max(before.waitUs, now.waitUs);
  return longer > shortWaitUs && longer > waitFactor * Math.min(before.waitUs, now.waitUs);
}
