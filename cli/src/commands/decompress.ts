import type { Command } from 'commander';

import { runCodecCommand, type CodecCommandOptions } from '../codec-command.js';
import { codecOf, decompressedName } from '../codec-files.js';
import { FileError, UsageError } from '../failure.js';
import { addDeviceOptions, addJsonOption, byteCount } from '../options.js';
import type { CommandContext } from '../session.js';
import { transferStream } from '../transfer.js';

/**
 * Without --max-bytes, output past the first number is refused when it is also more than this many times the input:
 * a bomb, and not a large file of its own right.
 */
const freeOutputBytes = 2 * 1024 ** 3;
const ratioMax = 256;

interface DecompressCommandOptions extends CodecCommandOptions {
  readonly maxBytes?: number;
}

export function addDecompressCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('decompress')
    .description('decompress any zstd, lz4 or gzip file; the codec is told from its bytes')
    .argument('<file>', "'-' is standard input")
    .option('-o, --output <file>', "default FILE without its suffix; '-' is standard output")
    .option(
      '--max-bytes <n>',
      `refuse to produce more ('500M'); default 2G, or ${ratioMax} times the input if that is more`,
      byteCount,
    )
    .option('--force', 'overwrite a file, or write to a terminal')
    .action((file: string, options: DecompressCommandOptions) =>
      decompressFile(file, options, context),
    );
  addDeviceOptions(addJsonOption(command)).addHelpText(
    'after',
    `
A file appears under its name whole or not at all: damaged input leaves nothing behind.

Examples:
  $ axle decompress disk.img.zst
  $ axle decompress --max-bytes 100M -o - upload.gz | wc -c`,
  );
}

async function decompressFile(
  file: string,
  options: DecompressCommandOptions,
  context: CommandContext,
): Promise<void> {
  const outputName = options.output ?? (file === '-' ? '-' : decompressedName(file));
  if (outputName === undefined) {
    throw new UsageError(
      `${file} does not end in .zst, .lz4 or .gz; name the output with --output`,
    );
  }
  const { device, strict } = options;
  const { signal } = context;
  await runCodecCommand(
    {
      inputName: file,
      outputName,
      plainSide: 'output',
      describe: ({ firstBytes }) => ({ codec: codecOf(firstBytes) ?? null }),
      run: (client, input, output) =>
        transferStream(input, client.decompressStream({ device, strict, signal }), output, {
          label: 'decompress',
          signal,
          checkOutput: outputCheck(input.name, options.maxBytes),
        }),
    },
    options,
    context,
  );
}

function outputCheck(name: string, maxBytes: number | undefined) {
  return (outputBytes: number, inputBytes: number): void => {
    const allowed = maxBytes ?? Math.max(freeOutputBytes, inputBytes * ratioMax);
    if (outputBytes <= allowed) return;
    throw new FileError(
      'RESOURCE_EXHAUSTED',
      `${name} holds more than ${allowed} bytes; pass a larger --max-bytes if that much is expected`,
    );
  };
}
