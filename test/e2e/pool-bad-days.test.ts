import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

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

interface Field {
  readonly staying: LoadClient;
  readonly victims: Readonly<Record<string, Victim>>;
  /** Ends the calls. */
  readonly stop: () => Promise<readonly LoadFigures[]>;
}

const effects = ['killed-effects1', 'killed-effects2'].map((name) => join(folder, name));

/** Two clients under load, two `axle pool`, and four servers of two kinds. */
async function startField(): Promise<Field> {
  const [file1 = '', file2 = ''] = effects;
  for (const file of effects) writeFileSync(file, '');
  let effect1 = await effectServer('effect1', file1);
  await effectServer('effect2', file2);
  let server1 = await serveUnix('server1.sock');
  const server2 = await serveUnix('server2.sock');
  const servers = ['effect1', 'effect2', 'server1', 'server2'].map(socketOf).join(',');
  let front1 = await startPool('front1', servers);
  await startPool('front2', servers);
  const startClient = async (name: string) => {
    const acks = join(folder, `acks-${name}`);
    const client = await LoadClient.start(poolOf('front1', 'front2'), name, acks);
    clients.push(client);
    return client;
  };
  const staying = await startClient('staying');
  let going = await startClient('going');
  let runs = 0;
  const victims = {
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
  await staying.more(20, 'append', 'reverse', 'compress');
  return { staying, victims, stop: async () => [await staying.stop(), await going.stop()] };
}

/** Kills these together. @returns the longest time that calls which may run elsewhere stood still */
async function badDay({ staying, victims }: Field, names: readonly string[]): Promise<string> {
  const killed = names.map((name) => victims[name] as Victim);
  staying.forget();
  await Promise.all(killed.map((victim) => victim.kill()));
  await staying.more(10, 'reverse', 'compress');
  const { longestMs } = await staying.figures();
  await Promise.all(killed.map((victim) => victim.start()));
  await staying.more(10, 'append', 'reverse', 'compress');
  const pauseMs = Math.max(longestMs.reverse, longestMs.compress);
  return `${names.join(' and ')} ${pauseMs.toFixed(0)} ms`;
}

describe('kill -9 under load', () => {
  let field: Field;
  const recoveries: string[] = [];

  beforeAll(async () => {
    field = await startField();
  });

  it('of each kind of process fails no call that can run elsewhere', async () => {
    for (const name of Object.keys(field.victims)) recoveries.push(await badDay(field, [name]));
    expect(await field.staying.figures()).toMatchObject({ failed: [], wrong: 0 });
  });

  it('of two at once neither; nothing is lost, done twice or answered wrong', async () => {
    for (const names of [
      ['axle pool', 'server of effects'],
      ['axle serve', 'device host'],
      ['client', 'axle serve'],
    ]) {
      recoveries.push(await badDay(field, names));
    }
    const figures = await field.stop();
    console.log(
      `longest time without an answer to a kind of call, after kill -9: ${recoveries.join(', ')}`,
    );
    console.log(expectNoHarm(clients, figures, effects));
  });
});
