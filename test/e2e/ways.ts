import { connect, type Client, type ConnectOptions } from 'axle';

import { serveUnix, type RunningServer } from './serve.js';

/** How a client reaches its devices: what it does is the same in all ways. */
export interface Way {
  /** In front of the ids of devices. */
  readonly prefix: string;
  readonly connect: (options?: ConnectOptions) => Promise<Client>;
}

/** One for the test file. */
let server: Promise<RunningServer> | undefined;

export function inProcess(): Promise<Way> {
  return Promise.resolve({ prefix: '', connect: (options) => connect(options) });
}

/** For `describe.each`: what to call it, and how to open it. */
export const ways: readonly (readonly [string, () => Promise<Way>])[] = [
  ['in process', inProcess],
  [
    'through a server',
    async () => {
      const { endpoint } = await (server ??= serveUnix('way.sock'));
      return { prefix: 'remote/', connect: (options) => connect(endpoint, options) };
    },
  ],
];
