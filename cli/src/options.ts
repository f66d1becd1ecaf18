import { InvalidArgumentError, type Command } from 'commander';

import { parseBytes } from './units.js';

/** Where a call runs. */
export interface DeviceOptions {
  readonly device?: string;
  readonly strict?: true;
}

export function addDeviceOptions(command: Command): Command {
  return command
    .option('--device <device>', "prefer a device ('cpu-fallback:0'), a backend or a kind ('gpu')")
    .option('--strict', 'with --device: run there or fail, never elsewhere');
}

export interface ModelsOption {
  readonly models?: string[];
}

export function addModelsOption(command: Command): Command {
  return command.option(
    '--models <dir>',
    'folder of models, looked in before those that come with Axle; may be repeated',
    (folder: string, before: string[] | undefined) => [...(before ?? []), folder],
  );
}

export interface JsonOption {
  readonly json?: true;
}

export function addJsonOption(command: Command): Command {
  return command.option('--json', 'print JSON, for programs');
}

/** For commander: a whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It is a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** For commander: bytes, '500', '64K', '2G'. */
export function byteCount(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes === 0) {
    throw new InvalidArgumentError("It is a number of bytes such as '1000000', '64M' or '2G'.");
  }
  return bytes;
}
