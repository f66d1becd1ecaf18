import { resolve } from 'node:path';

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

/** A plugin beside those that come with Axle. */
export interface NamedPlugin {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
}

export interface PluginsOption {
  readonly plugin?: NamedPlugin[];
}

export function addPluginsOption(command: Command): Command {
  return command.option(
    '--plugin <name=path>',
    'the shared library of one more plugin, and what it is listed as while it does not open; may be repeated',
    (text: string, before: NamedPlugin[] | undefined) => [...(before ?? []), namedPlugin(text)],
  );
}

function namedPlugin(text: string): NamedPlugin {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) {
    throw new InvalidArgumentError("It is NAME=PATH, such as 'fpga=/opt/axle/libaxle_fpga.so'.");
  }
  return { name: text.slice(0, at), path: resolve(text.slice(at + 1)) };
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
