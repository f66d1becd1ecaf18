import type { ClassifyResult, Client, ErrorCodeName } from 'axle';
import type { Command } from 'commander';

import { ExitCode, failureReport, FileError, oneLine, UsageError } from '../failure.js';
import { openInput } from '../input.js';
import { printError } from '../error-line.js';
import {
  addDeviceOptions,
  addJsonOption,
  addModelsOption,
  wholeNumber,
  type DeviceOptions,
  type JsonOption,
  type ModelsOption,
} from '../options.js';
import { mapInOrder } from '../ordered-map.js';
import { printable } from '../printable.js';
import { Progress } from '../progress.js';
import { emulatedDevices, withClient, type CommandContext } from '../session.js';
import { print } from '../standard-output.js';

/** Images that are worked on at once: enough to fill batches, few enough to hold decoded. */
const concurrency = 16;
const topMax = 1000;

interface ClassifyCommandOptions extends DeviceOptions, JsonOption, ModelsOption {
  readonly model?: string;
  readonly top: number;
}

type Outcome =
  | { readonly file: string; readonly result: ClassifyResult }
  | { readonly file: string; readonly error: unknown };

export function addClassifyCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('classify')
    .description('name what is in images (JPEG, PNG, WebP, GIF, AVIF, TIFF)')
    .argument('<image...>', "files; '-' is standard input")
    .option('--model <model>', 'a name, NAME:VERSION, or the path of a model (see axle models)')
    .option('--top <k>', 'how many labels to give, best first', wholeNumber(1, topMax), 1)
    .action((files: string[], options: ClassifyCommandOptions) =>
      classifyFiles(files, options, context),
    );
  addModelsOption(addDeviceOptions(addJsonOption(command))).addHelpText(
    'after',
    `
An image that cannot be classified is reported on stderr; the others still are, and the exit code is 1.

Examples:
  $ axle classify photo.jpg
  $ axle classify --top 3 *.png
  $ curl -s https://example.com/a.jpg | axle classify --json -`,
  );
}

async function classifyFiles(
  files: readonly string[],
  options: ClassifyCommandOptions,
  context: CommandContext,
): Promise<void> {
  if (files.filter((file) => file === '-').length > 1) {
    throw new UsageError("'-' is standard input, which can be read only once");
  }
  await withClient(options, async (client) => {
    if (options.model !== undefined) {
      // A model that cannot be used is one error, not one for each image.
      await client.prefetch(options.model, callOptions(options, context));
    }
    const emulated = await emulatedDevices(client);
    const progress = new Progress({ label: 'classify', total: files.length, unit: 'items' });
    const report = options.json ? new JsonReport(emulated) : new TextReport(options.top);
    try {
      const classify = (file: string) => classifyFile(client, file, options, context);
      for await (const outcome of mapInOrder(files, concurrency, classify)) {
        context.signal.throwIfAborted();
        progress.advance(1);
        progress.clear();
        if ('error' in outcome) process.exitCode = ExitCode.failure;
        await report.add(outcome);
      }
      await report.end();
    } finally {
      progress.stop();
    }
  });
}

async function classifyFile(
  client: Client,
  file: string,
  options: ClassifyCommandOptions,
  context: CommandContext,
): Promise<Outcome> {
  try {
    const input = await openInput(file);
    try {
      const result = await client.classify(input.stream(), {
        ...callOptions(options, context),
        model: options.model,
        topK: options.top,
      });
      return { file, result };
    } finally {
      await input.close();
    }
  } catch (error) {
    context.signal.throwIfAborted();
    if (isOfAllImages(error)) throw error;
    return { file, error };
  }
}

const codesOfAllImages: readonly unknown[] = [
  'FAILED_PRECONDITION',
  'NOT_FOUND',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'UNAVAILABLE',
  'UNIMPLEMENTED',
] satisfies ErrorCodeName[];

/** Errors of the model, the device or the session, which every image would meet. */
function isOfAllImages(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== 'AxleError') return false;
  return 'code' in error && codesOfAllImages.includes(error.code);
}

function callOptions({ device, strict }: DeviceOptions, { signal }: CommandContext) {
  return { device, strict, signal };
}

/** Errors of reading name the file themselves. */
function noteFailure(file: string, error: unknown): void {
  printError(error instanceof FileError ? oneLine(error) : `${printable(file)}: ${oneLine(error)}`);
}

class TextReport {
  constructor(private readonly top: number) {}

  async add(outcome: Outcome): Promise<void> {
    const file = printable(outcome.file);
    if ('error' in outcome) {
      noteFailure(outcome.file, outcome.error);
      return;
    }
    const lines = outcome.result.results.map(
      ({ label, score }) => `${printable(label)} ${score.toFixed(4)}\n`,
    );
    const indented = lines.map((line) => `  ${line}`).join('');
    await print(this.top === 1 ? `${file}: ${lines.join('')}` : `${file}:\n${indented}`);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }
}

/** One array, printed element by element so that any number of images takes no more memory than one. */
class JsonReport {
  private count = 0;

  constructor(private readonly emulated: ReadonlySet<string>) {}

  async add(outcome: Outcome): Promise<void> {
    const separator = this.count === 0 ? '[\n' : ',\n';
    this.count += 1;
    if ('error' in outcome) noteFailure(outcome.file, outcome.error);
    await print(`${separator}${JSON.stringify(this.element(outcome))}`);
  }

  async end(): Promise<void> {
    await print(this.count === 0 ? '[]\n' : '\n]\n');
  }

  private element(outcome: Outcome) {
    const { file } = outcome;
    if ('error' in outcome) return { file, error: failureReport(outcome.error) };
    const { model, device, results, timingMs } = outcome.result;
    const emulated = this.emulated.has(device) ? { emulated: true } : {};
    return { file, model, device, ...emulated, results, timingMs };
  }
}
