import type { Command } from 'commander';
import type { DeviceReport, DevicesReport, ExplainReport } from 'axle';

import { UsageError } from '../failure.js';
import {
  addDeviceOptions,
  addJsonOption,
  addModelsOption,
  addPluginsOption,
  type DeviceOptions,
  type JsonOption,
  type ModelsOption,
  type PluginsOption,
} from '../options.js';
import { withClient } from '../session.js';
import { print } from '../standard-output.js';
import { formatTable } from '../table.js';
import { painterFor } from '../terminal.js';
import { printable } from '../printable.js';
import { formatMs } from '../units.js';

export function addDevicesCommand(program: Command): void {
  const command = program
    .command('devices')
    .description('list what can run here, and what cannot with the reason')
    .option('--explain <op>', 'show the ways in which an op could run, best first, and why')
    .option('--model <model>', 'with --explain classify or infer: the model that it runs')
    .action(listDevices);
  addJsonOption(addPluginsOption(addModelsOption(addDeviceOptions(command)))).addHelpText(
    'after',
    `
Examples:
  $ axle devices
  $ axle devices --json | jq -r '.devices[].id'
  $ axle devices --explain classify --device gpu
  $ axle devices --plugin mine=./libmine.so`,
  );
}

interface DevicesCommandOptions extends DeviceOptions, JsonOption, ModelsOption, PluginsOption {
  readonly explain?: string;
  readonly model?: string;
}

async function listDevices(options: DevicesCommandOptions): Promise<void> {
  const { explain: op, model, device, strict, plugin } = options;
  const endpoint = process.env['AXLE_ENDPOINT'] || 'local:';
  if (plugin !== undefined && !endpoint.startsWith('local:')) {
    throw new UsageError('--plugin is for this process; a server has its own: axle serve --plugin');
  }
  if (op !== undefined) return explainOp(op, options);
  for (const [name, value] of Object.entries({ model, device, strict })) {
    if (value !== undefined) throw new UsageError(`--${name} goes with --explain OP`);
  }
  const report = await withClient({ plugin }, (client) => client.devices());
  await print(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatDevices(report));
}

async function explainOp(op: string, options: DevicesCommandOptions): Promise<void> {
  const { model, device, strict } = options;
  if (op === 'infer' && model === undefined) {
    throw new UsageError('infer runs a model; say which one with --model MODEL');
  }
  const report = await withClient(options, (client) =>
    client.explain(op, { model, device, strict }),
  );
  await print(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatExplanation(report));
}

function formatExplanation({ op, model, plans, passedOver }: ExplainReport): string {
  const paint = painterFor(process.stdout);
  const subject = printable(model === undefined ? op : `${op} of ${model}`);
  const rows = plans.flatMap((plan, i) =>
    plan.steps.map((step, j) => [
      j === 0 ? String(i + 1) : '',
      step.step,
      step.device,
      formatMs(step.queueMs),
      `${formatMs(step.taskMs)}${step.measured ? '' : ' (guess)'}`,
      formatMs(step.loadMs),
      j === 0 ? formatMs(plan.expectedMs) : '',
    ]),
  );
  const header = ['PLAN', 'STEP', 'DEVICE', 'QUEUE', 'TASK', 'MODEL LOAD', 'PLAN IN ALL'];
  const table = plans.length === 0 ? 'No device here runs it.\n' : formatTable(header, rows, paint);
  const reasons = passedOver.map(({ what, reason }) =>
    paint('dim', `  ${printable(what)}: ${printable(reason)}\n`),
  );
  const why = reasons.length === 0 ? '' : `\n${paint('bold', 'Passed over')}\n${reasons.join('')}`;
  return `${paint('bold', `How ${subject} would run now`)}\n${table}${why}`;
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
