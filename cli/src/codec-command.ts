import { realpath } from 'node:fs/promises';

import type { Client } from 'axle';

import { UsageError } from './failure.js';
import { openInput, type Input } from './input.js';
import type { DeviceOptions, JsonOption } from './options.js';
import { openOutput, type Output } from './output.js';
import { printable } from './printable.js';
import { emulatedDevices, withClient, type CommandContext } from './session.js';
import { print } from './standard-output.js';
import type { Transfer } from './transfer.js';
import { formatBytes, formatRate, threeDigits } from './units.js';

/** What `compress` and `decompress` have in common. */
export interface CodecCommandOptions extends DeviceOptions, JsonOption {
  readonly output?: string;
  readonly force?: true;
}

export interface CodecJob {
  readonly inputName: string;
  readonly outputName: string;
  /** Which side is the data as it is without compression. */
  readonly plainSide: 'input' | 'output';
  run(client: Client, input: Input, output: Output): Promise<Transfer>;
  /** What `--json` says besides. */
  describe(transfer: Transfer): object;
}

/** Opens both ends, runs, commits or discards, and reports. Nothing is connected before both ends are open. */
export async function runCodecCommand(
  job: CodecJob,
  options: CodecCommandOptions,
  { signal }: CommandContext,
): Promise<void> {
  await refuseSameFile(job);
  const input = await openInput(job.inputName);
  try {
    const force = options.force ?? false;
    const output = await openOutput(job.outputName, { force, mode: input.mode, signal });
    try {
      await withClient({}, async (client) => {
        const transfer = await job.run(client, input, output);
        await output.commit();
        const emulated = (await emulatedDevices(client)).has(transfer.device);
        await report(job, transfer, emulated, options.json ?? false);
      });
    } finally {
      await output.discard();
    }
  } finally {
    await input.close();
  }
}

/** With --force, a file would be replaced by its own compressed form. */
async function refuseSameFile({ inputName, outputName }: CodecJob): Promise<void> {
  if (inputName === '-' || outputName === '-') return;
  const [input, output] = await Promise.all(
    [inputName, outputName].map((name) => realpath(name).catch(() => undefined)),
  );
  if (input === undefined || input !== output) return;
  throw new UsageError(`${outputName} is the input itself; give the output another name`);
}

async function report(job: CodecJob, transfer: Transfer, emulated: boolean, json: boolean) {
  if (!json) {
    process.stderr.write(`${summary(job, transfer, emulated)}\n`);
    return;
  }
  const { inputBytes, outputBytes, device, timingMs } = transfer;
  const object = {
    input: job.inputName,
    output: job.outputName,
    ...job.describe(transfer),
    inputBytes,
    outputBytes,
    device,
    ...(emulated ? { emulated } : {}),
    timingMs,
  };
  const text = `${JSON.stringify(object, null, 2)}\n`;
  if (job.outputName === '-') process.stderr.write(text);
  else await print(text);
}

function summary(job: CodecJob, transfer: Transfer, emulated: boolean): string {
  const { inputBytes, outputBytes, device, timingMs } = transfer;
  const compress = job.plainSide === 'input';
  const [plain, packed] = compress ? [inputBytes, outputBytes] : [outputBytes, inputBytes];
  const sizes = `${formatBytes(inputBytes)} -> ${formatBytes(outputBytes)}`;
  const ratio = packed > 0 ? threeDigits(plain / packed) : '-';
  const names = `${printable(job.inputName)} -> ${printable(job.outputName)}`;
  const where = emulated ? `${device} EMULATED` : device;
  return `${names}: ${sizes}, ratio ${ratio}, ${formatRate(plain, timingMs.total)}, ${where}`;
}
