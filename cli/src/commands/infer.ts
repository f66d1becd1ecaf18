import type { Client, DataTypeName, InferResult, Tensor } from 'axle';
import type { Command } from 'commander';

import {
  addDeviceOptions,
  addJsonOption,
  addModelsOption,
  type DeviceOptions,
  type JsonOption,
  type ModelsOption,
} from '../options.js';
import { printable } from '../printable.js';
import { emulatedDevices, withClient, type CommandContext } from '../session.js';
import { print } from '../standard-output.js';
import { formatTable } from '../table.js';
import {
  formatTensorJson,
  largestElement,
  previewElements,
  type ArrayData,
} from '../tensor-json.js';
import { painterFor } from '../terminal.js';
import { formatMs } from '../units.js';

const previewCount = 8;

interface InferCommandOptions extends DeviceOptions, JsonOption, ModelsOption {
  readonly input?: string[];
  readonly output?: string;
}

export function addInferCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('infer')
    .description('run a model on tensors from files')
    .argument('<model>', 'a name, NAME:VERSION, or the path of a model folder or .onnx file')
    .requiredOption(
      '--input <name=file>',
      'an input by its name in the model, from a .npy or .json file; once for each',
      (file: string, before: readonly string[] | undefined) => [...(before ?? []), file],
    )
    .option('--output <dir>', 'write each output as NAME.npy (strings as NAME.json) in this folder')
    .action((model: string, options: InferCommandOptions) => inferModel(model, options, context));
  addModelsOption(addDeviceOptions(addJsonOption(command))).addHelpText(
    'after',
    `
A .json file holds nested arrays, of the type that the model declares, or a tensor as KServe v2 writes it:
{"datatype": "INT64", "shape": [1, 2], "data": [3, 4]}.
Integers past 2^53 are strings; so are "NaN", "Infinity" and "-Infinity".

Examples:
  $ axle models
  $ axle infer mlp --input image=features.npy
  $ axle infer ./model.onnx --input ids=ids.json --input mask=mask.npy --output results`,
  );
}

async function inferModel(
  model: string,
  options: InferCommandOptions,
  { signal }: CommandContext,
): Promise<void> {
  // Loaded here because it needs core.
  const files = await import('../infer-files.js');
  const inputFiles = files.parseInputFiles(options.input ?? []);
  await withClient(options, async (client) => {
    const declared = await declaredTypes(client, model);
    const inputs = new Map<string, Tensor>();
    for (const inputFile of inputFiles) {
      const type = declared.get(inputFile.name);
      inputs.set(inputFile.name, await files.readInputTensor(inputFile, type, signal));
    }
    const { device, strict } = options;
    const result = await client.infer(model, Object.fromEntries(inputs), {
      device,
      strict,
      signal,
    });
    const written =
      options.output === undefined
        ? new Map<string, string>()
        : await files.writeOutputs(options.output, result.outputs);
    const emulated = (await emulatedDevices(client)).has(result.device);
    const report = { result, emulated, written, toArrayData: files.toArrayData };
    await print(options.json ? formatJson(report) : formatSummary(report));
  });
}

async function declaredTypes(
  client: Client,
  reference: string,
): Promise<ReadonlyMap<string, DataTypeName>> {
  const { inputs } = await client.model(reference);
  return new Map(inputs.map((input) => [input.name, input.dtype]));
}

interface InferReport {
  readonly result: InferResult;
  readonly emulated: boolean;
  /** Files by output. */
  readonly written: ReadonlyMap<string, string>;
  readonly toArrayData: (tensor: Tensor) => ArrayData;
}

function formatJson({ result, emulated, written, toArrayData }: InferReport): string {
  const outputs = Object.entries(result.outputs).map(([name, tensor]) => {
    const file = written.get(name);
    const content =
      file === undefined
        ? `"data": ${formatTensorJson(toArrayData(tensor))}`
        : `"file": ${JSON.stringify(file)}`;
    const type = `"dtype": "${tensor.dtype}", "shape": ${JSON.stringify(tensor.shape)}`;
    return `    ${JSON.stringify(name)}: { ${type}, ${content} }`;
  });
  const fields = [
    `  "model": ${JSON.stringify(result.model)}`,
    `  "device": ${JSON.stringify(result.device)}`,
    ...(emulated ? ['  "emulated": true'] : []),
    `  "outputs": {\n${outputs.join(',\n')}\n  }`,
    `  "timingMs": ${JSON.stringify(result.timingMs)}`,
  ];
  return `{\n${fields.join(',\n')}\n}\n`;
}

function formatSummary({ result, emulated, written, toArrayData }: InferReport): string {
  const rows = Object.entries(result.outputs).map(([name, tensor]) => {
    const values = written.get(name) ?? formatValues(toArrayData(tensor));
    return [name, tensor.dtype, `[${tensor.shape.join(',')}]`, values];
  });
  const where = emulated ? `${result.device} EMULATED` : result.device;
  const heading = `${printable(result.model)} on ${where}, ${formatMs(result.timingMs.total)}\n`;
  const last = written.size > 0 ? 'FILE' : 'VALUES';
  return (
    heading + formatTable(['OUTPUT', 'DTYPE', 'SHAPE', last], rows, painterFor(process.stdout))
  );
}

function formatValues(array: ArrayData): string {
  const preview = previewElements(array, previewCount).join(' ');
  const count = array.shape.reduce((product, size) => product * size, 1);
  if (count <= previewCount) return preview;
  const largest = largestElement(array);
  const where = largest === undefined ? '' : `, largest ${largest.value} at ${largest.index}`;
  return `${preview} ... (${count}${where})`;
}
