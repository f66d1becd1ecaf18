import { messageOf, type Device, type Runtime } from '@axle/core/internal';

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

/** How the devices of a runtime are: asked for every so often while somebody listens, and told of when it changes. */
export class DeviceWatch {
  private readonly known = new Map<string, DeviceState>();
  private readonly listeners = new Set<StateListener>();
  private timer: NodeJS.Timeout | undefined = undefined;
  private asking: Promise<void> | undefined = undefined;

  /** @param everyMs between two looks */
  constructor(
    private readonly runtime: Runtime,
    private readonly everyMs = 1000,
  ) {}

  /** As the device said last; OK before it was asked. */
  of(device: Device): DeviceState {
    return this.known.get(device.id) ?? unasked;
  }

  /** Asks all; does not wait for long for those that do not answer. */
  async refresh(): Promise<void> {
    await settledWithin(this.ask(), askMsMax);
  }

  /** @returns what ends it */
  listen(listener: StateListener): () => void {
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
        const state = await this.stateOf(device);
        if (!isNews(this.of(device), state)) return;
        this.known.set(device.id, state);
        for (const listener of this.listeners) listener(index, state);
      }),
    );
  }

  private async stateOf(device: Device): Promise<DeviceState> {
    const { runtime } = this;
    const waitUs = toWireUs(runtime.waitMsOf(device));
    try {
      const { state, message } = await runtime.registry.backendOf(device).health(device);
      return { state, message, waitUs };
    } catch (error) {
      return { state: 'LOST', message: messageOf(error), waitUs };
    }
  }
}

function isNews(before: DeviceState, now: DeviceState): boolean {
  if (before.state !== now.state || before.message !== now.message) return true;
  const longer = Math.max(before.waitUs, now.waitUs);
  return longer > shortWaitUs && longer > waitFactor * Math.min(before.waitUs, now.waitUs);
}
