import type { Command } from 'commander';
import type { DeviceReport, DevicesReport } from 'axle';

import { addJsonOption, type JsonOption } from '../options.js';
import { withClient } from '../session.js';
import { print } from '../standard-output.js';
import { formatTable } from '../table.js';
import { painterFor } from '../terminal.js';
import { printable } from '../printable.js';

export function addDevicesCommand(program: Command): void {
  const command = program
    .command('devices')
    .description('list what can run here, and what cannot with the reason')
    .action(listDevices);
  addJsonOption(command).addHelpText(
    'after',
    `
Examples:
  $ axle devices
  $ axle devices --json | jq -r '.devices[].id'`,
  );
}

async function listDevices(options: JsonOption): Promise<void> {
  const report = await withClient({}, (client) => client.devices());
  await print(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatDevices(report));
}

function formatDevices(report: DevicesReport): string {
  const paint = painterFor(process.stdout);
  const rows = report.devices.map((device) => [
    device.id,
    device.emulated ? `${device.kind} EMULATED` : device.kind,
    device.name,
    device.ops.join(' '),
    formatHealth(device),
  ]);
  const table = formatTable(['ID', 'KIND', 'NAME', 'OPS', 'HEALTH'], rows, paint);
  if (report.unavailable.length === 0) return table;
  const reasons = report.unavailable.map(({ backend, reason }) =>
    paint('dim', `  ${printable(backend)}: ${printable(reason)}`),
  );
  return `${table}\n${paint('bold', 'Not available here')}\n${reasons.join('\n')}\n`;
}

function formatHealth(device: DeviceReport): string {
  return device.healthMessage === '' ? device.health : `${device.health}: ${device.healthMessage}`;
}
