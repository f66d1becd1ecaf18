import { delimiter } from 'node:path';

import type { Command } from 'commander';
import type { ModelManager } from '@axle/remoting';

import { UsageError } from '../failure.js';
import { addJsonOption, addModelsOption, type JsonOption, type ModelsOption } from '../options.js';
import { printable } from '../printable.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';
import { formatBytes } from '../units.js';
import { formatModels } from './models.js';

interface PushCommandOptions extends ModelsOption, JsonOption {
  readonly name?: string;
  readonly replace?: true;
}

export function addModelCommand(program: Command, context: CommandContext): void {
  const model = program.command('model').description('send models to a server and name them there');
  const push = model
    .command('push')
    .description('send a model to a server, for all who are the same tenant there')
    .argument('<model>', 'a model folder, an .onnx file, or a name in --models')
    .option(
      '--name <name[:version]>',
      'what to call it there; by default as it is called here, with the next free version',
    )
    .option('--replace', 'put it in the place of the version that is there')
    .action((reference: string, options: PushCommandOptions) =>
      withManager(options, context, async (manager) => {
        const { name: given, replace, json } = options;
        const [name, version] = given === undefined ? [] : splitName(given);
        const pushed = await manager.push(reference, { name, version, replace });
        if (json === true) {
          await print(`${JSON.stringify(pushed, null, 2)}\n`);
          return;
        }
        const named = printable(`${pushed.name}:${pushed.version}`);
        await print(`${named}, ${formatBytes(pushed.bytes)}\n`);
      }),
    );
  addModelsOption(addJsonOption(push));
  const list = model
    .command('list')
    .description('list the models of a server, with all versions')
    .action((options: JsonOption) =>
      withManager({}, context, async (manager) => {
        const models = await manager.list();
        await print(options.json ? `${JSON.stringify(models, null, 2)}\n` : formatModels(models));
      }),
    );
  addJsonOption(list);
  const remove = model
    .command('rm')
    .description('take the name of a model away; its files go when nobody uses them')
    .argument('<model>', 'NAME, which means all versions, or NAME:VERSION')
    .action((reference: string, options: JsonOption) =>
      withManager({}, context, async (manager) => {
        const [name, version] = splitName(reference);
        await manager.remove(name, version);
        const removed = { name, version: version === '' ? null : version };
        if (options.json === true) await print(`${JSON.stringify(removed)}\n`);
      }),
    );
  addJsonOption(remove);
  model.addHelpText(
    'after',
    `
Examples:
  $ axle model push ./resnet --on axle+unix:/run/axle.sock
  $ axle classify photo.jpg --model resnet --on axle+unix:/run/axle.sock
  $ axle model rm resnet:1 --on axle+unix:/run/axle.sock`,
  );
}

/** Of NAME or NAME:VERSION; '' where no version is given. */
function splitName(text: string): [name: string, version: string] {
  const [, name = text, version = ''] = /^(.*):([^:]*)$/.exec(text) ?? [];
  return [name, version];
}

async function withManager(
  { models }: ModelsOption,
  { signal }: CommandContext,
  work: (manager: ModelManager) => Promise<void>,
): Promise<void> {
  const endpoint = process.env['AXLE_ENDPOINT'] ?? '';
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (!url?.protocol.startsWith('axle')) {
    throw new UsageError('say which server with --on, such as --on axle+unix:/run/axle.sock');
  }
  const { ModelManager: Manager } = await import('@axle/remoting');
  const { shippedModels } = await import('axle');
  const said = models ?? process.env['AXLE_MODELS']?.split(delimiter) ?? [];
  const folders = [...said.filter((folder) => folder !== ''), shippedModels];
  const manager = await Manager.connect(url, { models: folders });
  const stop = () => void manager.close();
  signal.addEventListener('abort', stop);
  try {
    signal.throwIfAborted();
    await work(manager);
  } finally {
    signal.removeEventListener('abort', stop);
    await manager.close();
  }
}
