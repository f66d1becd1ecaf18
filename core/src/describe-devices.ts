import type { Backend, Device } from './backend.js';
import { OPS } from './generated/constants.js';
import type { OfferedOp } from './backend.js';
import type { Registry } from './registry.js';
import type { DeviceReport, DevicesReport } from './results.js';

/** What `client.devices()` answers. */
export async function describeDevices(
  registry: Registry,
  loadOf: (device: Device) => number,
): Promise<DevicesReport> {
  const reports = registry.all.flatMap((backend) =>
    backend.devices.map((device) => describeDevice(registry, backend, device, loadOf)),
  );
  return { devices: await Promise.all(reports), unavailable: registry.unavailable };
}

async function describeDevice(
  registry: Registry,
  backend: Backend,
  device: Device,
  loadOf: (device: Device) => number,
): Promise<DeviceReport> {
  const health = await backend.health(device);
  return {
    id: device.id,
    name: device.name,
    kind: device.kind,
    emulated: device.emulated,
    backend: backend.name,
    version: device.version ?? backend.version,
    memoryBytes: device.memoryBytes,
    parallel: device.parallel,
    ops: opLabels(registry, backend, device),
    tasks: loadOf(device),
    health: health.state,
    healthMessage: health.message,
  };
}

/** Each once: behind a server, several plugins may offer the same op. */
function opLabels(registry: Registry, backend: Backend, device: Device): string[] {
  const offered = backend.ops.filter(
    (op) => !registry.isRefused(backend, op) && (backend.offers?.(device, op) ?? true),
  );
  return [...new Set(offered.map(opLabel))];
}

/** 'infer', 'vendor.example/blur', or for a fused range 'classify[preprocess..topk]'. */
function opLabel({ op, first, last, name }: OfferedOp): string {
  if (name !== '') return name;
  const found = Object.entries(OPS).find(([, definition]) => definition.id === op);
  if (found === undefined) return `op ${op}`;
  const [opName, { chain }] = found;
  if (chain === undefined) return opName;
  return `${opName}[${chain[first] ?? ''}..${chain[last] ?? ''}]`;
}
