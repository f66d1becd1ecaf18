import type { Client } from 'axle';

import type { Interruption } from './interruption.js';
import type { NamedPlugin } from './options.js';

/** What every command is given. */
export interface CommandContext {
  /** Aborts when the user or the system stops the command. */
  readonly signal: AbortSignal;
  readonly interruption: Interruption;
}

/** Several pieces of a stream are on their way at once; smaller ones keep the command within 300 MB. */
const limits = { streamWriteBytesMax: 4 * 1024 * 1024, streamOutputBytesMax: 1024 * 1024 };

/**
 * Connects, works, and closes whatever happened. Core is loaded only here, so that help and completion are quick and
 * need no device.
 */
export async function withClient<T>(
  options: {
    readonly models?: readonly string[] | undefined;
    readonly plugin?: readonly NamedPlugin[] | undefined;
  },
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { connect } = await import('axle');
  const { models, plugin: plugins } = options;
  const client = await connect({ models, limits, ...(plugins === undefined ? {} : { plugins }) });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** Ids of devices that only stand for their hardware: no number of theirs is shown without saying so. */
export async function emulatedDevices(client: Client): Promise<ReadonlySet<string>> {
  const { devices } = await client.devices();
  return new Set(devices.filter((device) => device.emulated).map((device) => device.id));
}
