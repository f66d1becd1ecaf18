import type { Duplex } from 'node:stream';

import { InstanceChannel, type ServedCall } from '../channel/instance-channel.js';
import type { FunctionSurroundings } from './function-context.js';
import { failureOf } from './handler-failure.js';
import { loadHandler, runHandler, type Handler } from './handler-runtime.js';
import type { InstanceSetup } from './instance-setup.js';
import { PoolConnection } from './pool-connection.js';

/**
 * Serves a function over a channel: what an instance does, wherever it is. Waits for SETUP, loads the handler, connects
 * to the pool and loads the models meanwhile, and then takes calls.
 */
export function serveHandler(stream: Duplex, prepare: (setup: InstanceSetup) => void): void {
  let handler: Handler | undefined;
  let surroundings: FunctionSurroundings | undefined;
  const channel = new InstanceChannel(stream, {
    setUp: (setup) => {
      start(setup as InstanceSetup).then(
        () => {
          channel.ready();
        },
        (error: unknown) => {
          channel.failed(failureOf(error));
        },
      );
    },
    call: (call: ServedCall) => {
      void runHandler(handler as Handler, call, surroundings as FunctionSurroundings);
    },
  });

  async function start(setup: InstanceSetup): Promise<void> {
    prepare(setup);
    const { functionName, instance, timeoutMs } = setup;
    const secrets = new Map(
      Object.entries(setup.secrets).map(([name, text]) => [name, Buffer.from(text, 'base64')]),
    );
    const [loaded, pool] = await Promise.all([
      loadHandler(setup.folder, setup.handler),
      PoolConnection.open(setup),
    ]);
    handler = loaded;
    surroundings = { functionName, instance, timeoutMs, secrets, pool };
  }
}
