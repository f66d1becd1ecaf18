import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, it } from 'vitest';

import { expectNoHarm, LoadClient, type LoadFigures } from './load-client.js';
import { effectServer, kill, poolOf, socketOf, startPool } from './pool-kit.js';
import { folder, serveUnix, type RunningServer } from './serve.js';

const clients: LoadClient[] = [];

afterAll(() => {
  for (const { process: client } of clients) client.kill('SIGKILL');
});

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** The process of the CPU plugin, which `axle serve` has beside it. */
function deviceHostOf({ process: { pid } }: RunningServer): number {
  const [host = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  return Number(host);
}

/** Kills it; starts it again when the others have gone on without it. */
interface Victim {
  readonly kill: () => Promise<void>;
  readonly start: () => Promise<void>;
}

describe('kill -9 under load', () => {
  it('of each kind of process, and of two at once, loses nothing, does nothing twice and answers nothing wrong', async () => {
    const effects = ['killed-effects1', 'killed-effects2'].map((name) => join(folder, name));
    const [file1 = '', file2 = ''] = effects;
    for (const file of effects) writeFileSync(file, '');
    let effect1 = await effectServer('effect1', file1);
    await effectServer('effect2', file2);
    let server1 = await serveUnix('server1.sock');
    const server2 = await serveUnix('server2.sock');
    const servers = ['effect1', 'effect2', 'server1', 'server2'].map(socketOf).join(',');
    let front1 = await startPool('front1', servers);
    await startPool('front2', servers);
    const target = poolOf('front1', 'front2');
    const startClient = async (name: string) => {
      const client = await LoadClient.start(target, name, join(folder, `acks-${name}`));
      clients.push(client);
      return client;
    };
    const staying = await startClient('staying');
    let going = await startClient('going');
    let runs = 0;
    const victims: Record<string, Victim> = {
      client: {
        kill: () => end(going.process),
        start: async () => {
          runs += 1;
          going = await startClient(`going${runs}`);
        },
      },
      'axle pool': {
        kill: () => end(front1),
        start: async () => {
          front1 = await startPool('front1', servers);
        },
      },
      'server of effects': {
        kill: () => end(effect1),
        start: async () => {
          effect1 = await effectServer('effect1', file1);
        },
      },
      'axle serve': {
        kill: () => kill(server1),
        start: async () => {
          server1 = await serveUnix('server1.sock');
        },
      },
      'device host': {
        kill: () => {
          process.kill(deviceHostOf(server2), 'SIGKILL');
          return Promise.resolve();
        },
        // The server does.
        start: () => Promise.resolve(),
      },
    };
    await staying.more(30, 'append', 'reverse', 'compress');
    const days = [
      ...Object.keys(victims).map((name) => [name]),
      ['axle pool', 'server of effects'],
      ['axle serve', 'device host'],
      ['client', 'axle serve'],
    ];
    const recoveries: string[] = [];
    for (const names of days) {
      const killed = names.map((name) => victims[name] as Victim);
      staying.forget();
      await Promise.all(killed.map((victim) => victim.kill()));
      await staying.more(15, 'reverse', 'compress');
      const { longestMs } = await staying.figures();
      const pauseMs = Math.max(longestMs.reverse, longestMs.compress);
      recoveries.push(`${names.join(' and ')} ${pauseMs.toFixed(0)} ms`);
      await Promise.all(killed.map((victim) => victim.start()));
      await staying.more(15, 'append', 'reverse', 'compress');
    }
    const figures: LoadFigures[] = [await staying.stop(), await going.stop()];
    console.log(
      `longest time without an answer to a kind of call, after kill -9: ${recoveries.join(', ')}`,
    );
    console.log(expectNoHarm(clients, figures, effects));
  });
});
