import type { Backend, Device, Runtime } from '@axle/core/internal';
import { Gauge, type Registry } from 'prom-client';

const healthStates = ['OK', 'DEGRADED', 'LOST'] as const;
/** A device that does not tell its state within this time, milliseconds, is shown in none: others are not to wait. */
const healthMs = 1000;
const msPerSecond = 1000;
const labelNames = ['device'];

/** Gives a registry the figures of devices and their queues; they are few, and the operator's. */
export function addDeviceMetrics(registry: Registry, runtime: Runtime): void {
  const registers = [registry];
  new Gauge({
    name: 'axle_device_info',
    help: 'What a device is; emulated: it only stands for hardware',
    labelNames: [...labelNames, 'kind', 'backend', 'emulated'],
    registers,
    collect() {
      this.reset();
      for (const [{ name: backend }, { id, kind, emulated }] of devicesOf(runtime)) {
        this.set({ device: id, kind, backend, emulated: String(emulated) }, 1);
      }
    },
  });
  new Gauge({
    name: 'axle_device_tasks',
    help: 'Tasks that wait for a device or run on it',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      for (const [, device] of devicesOf(runtime)) {
        this.set({ device: device.id }, runtime.loadOf(device));
      }
    },
  });
  new Gauge({
    name: 'axle_device_wait_seconds',
    help: 'How long a new task would wait for the device, by what those took that ran there',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      for (const [, device] of devicesOf(runtime)) {
        this.set({ device: device.id }, runtime.waitMsOf(device) / msPerSecond);
      }
    },
  });
  new Gauge({
    name: 'axle_device_health',
    help: '1 for the state that a device is in',
    labelNames: [...labelNames, 'state'],
    registers,
    async collect() {
      const found = devicesOf(runtime);
      const states = await Promise.all(found.map(([backend, device]) => stateOf(backend, device)));
      this.reset();
      found.forEach(([, device], index) => {
        for (const state of healthStates) {
          this.set({ device: device.id, state }, state === states[index] ? 1 : 0);
        }
      });
    },
  });
}

function devicesOf({ registry }: Runtime): (readonly [Backend, Device])[] {
  return registry.all.flatMap((backend) =>
    backend.devices.map((device) => [backend, device] as const),
  );
}

async function stateOf(backend: Backend, device: Device): Promise<string | undefined> {
  let late: NodeJS.Timeout | undefined;
  const silent = new Promise<undefined>((resolve) => {
    late = setTimeout(resolve, healthMs, undefined);
  });
  try {
    return (await Promise.race([backend.health(device), silent]))?.state;
  } catch {
    // It cannot tell, which is no reason to show nothing of the others.
    return undefined;
  } finally {
    clearTimeout(late);
  }
}
