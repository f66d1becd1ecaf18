import type { Command } from 'commander';
import type { ModelReport, TensorReport } from 'axle';

import { addJsonOption, addModelsOption, type JsonOption, type ModelsOption } from '../options.js';
import { withClient } from '../session.js';
import { print } from '../standard-output.js';
import { formatTable } from '../table.js';
import { painterFor } from '../terminal.js';
import { formatBytes } from '../units.js';

/** On a server. */
const noneThere = 'axle model push sends one';

export function addModelsCommand(program: Command): void {
  const command = program
    .command('models')
    .description('list the models of the repositories')
    .action(listModels);
  addModelsOption(addJsonOption(command)).addHelpText(
    'after',
    `
Examples:
  $ axle models
  $ axle models --models ./repository --json`,
  );
}

async function listModels(options: JsonOption & ModelsOption): Promise<void> {
  const models = await withClient(options, (client) => client.models());
  const isHere = !process.env['AXLE_ENDPOINT']?.startsWith('axle');
  const none = isHere ? 'name a folder of them with --models' : noneThere;
  await print(options.json ? `${JSON.stringify(models, null, 2)}\n` : formatModels(models, none));
}

/** @param advice where there are none */
export function formatModels(models: readonly ModelReport[], advice: string = noneThere): string {
  if (models.length === 0) return `No models; ${advice}.\n`;
  const rows = models.map((model) => [
    model.name,
    model.version,
    formatBytes(model.bytes),
    model.maxBatchSize === 0 ? '-' : String(model.maxBatchSize),
    formatTensors(model.inputs),
    formatTensors(model.outputs),
    model.labels === 0 ? '-' : String(model.labels),
    model.problem ?? 'OK',
  ]);
  const header = ['NAME', 'VERSION', 'SIZE', 'BATCH', 'INPUTS', 'OUTPUTS', 'LABELS', 'STATE'];
  return formatTable(header, rows, painterFor(process.stdout));
}

function formatTensors(tensors: readonly TensorReport[]): string {
  return tensors
    .map(({ name, dtype, shape, anyRank }) => {
      const sizes = anyRank === true ? '...' : shape.join(',');
      return `${name} ${dtype}[${sizes}]`;
    })
    .join(' ');
}
