import type { CodecName } from 'axle';
import { Option, type Command } from 'commander';

import { runCodecCommand, type CodecCommandOptions } from '../codec-command.js';
import { codecNames, compressedName } from '../codec-files.js';
import { UsageError } from '../failure.js';
import { addDeviceOptions, addJsonOption, wholeNumber } from '../options.js';
import type { CommandContext } from '../session.js';
import { transferStream, transferWhole } from '../transfer.js';

/** Larger files, and all pipes, go through in pieces: memory stays constant. */
const wholeBytesMax = 32 * 1024 * 1024;

interface CompressCommandOptions extends CodecCommandOptions {
  readonly codec: CodecName;
  readonly level?: number;
}

export function addCompressCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('compress')
    .description('compress a file into one that zstd, lz4 or gzip read; the file itself stays')
    .argument('<file>', "'-' is standard input")
    .option('-o, --output <file>', "default FILE.zst, .lz4 or .gz; '-' is standard output")
    .addOption(new Option('--codec <codec>', 'format').choices([...codecNames]).default('zstd'))
    .option('--level <n>', 'zstd 1-22 (3), lz4 1-12 (1), gzip 1-12 (6)', wholeNumber(1, 22))
    .option('--force', 'overwrite a file, or write to a terminal')
    .action((file: string, options: CompressCommandOptions) =>
      compressFile(file, options, context),
    );
  addDeviceOptions(addJsonOption(command)).addHelpText(
    'after',
    `
A file appears under its name whole or not at all.

Examples:
  $ axle compress disk.img
  $ axle compress --codec gzip --level 9 -o logs.gz logs.txt
  $ tar c src | axle compress - | ssh backup 'cat > src.tar.zst'`,
  );
}

async function compressFile(
  file: string,
  options: CompressCommandOptions,
  context: CommandContext,
): Promise<void> {
  const { CODEC_LEVELS } = await import('axle');
  const { codec, device, strict, level = CODEC_LEVELS[codec].default } = options;
  const { min, max } = CODEC_LEVELS[codec];
  if (level < min || level > max) {
    throw new UsageError(`${codec} has levels ${min} to ${max}, not ${level}`);
  }
  const { signal } = context;
  const call = { codec, level, device, strict, signal };
  await runCodecCommand(
    {
      inputName: file,
      outputName: options.output ?? (file === '-' ? '-' : compressedName(file, codec)),
      plainSide: 'input',
      describe: () => ({ codec, level }),
      run: (client, input, output) =>
        input.sizeBytes !== undefined && input.sizeBytes <= wholeBytesMax
          ? transferWhole(input, (data) => client.compress(data, call), output, signal)
          : transferStream(input, client.compressStream(call), output, {
              label: 'compress',
              signal,
            }),
    },
    options,
    context,
  );
}
