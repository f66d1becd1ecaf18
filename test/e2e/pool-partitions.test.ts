import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { afterAll, it } from 'vitest';

import { describeWhere } from './describe-where.js';
import { expectNoHarm, LoadClient, type LoadOp } from './load-client.js';
import { TestNetwork, whyNoNetwork } from './network.js';
import { axlePath, folder } from './serve.js';

const why = whyNoNetwork();
const effectScript = fileURLToPath(new URL('effect-server.mjs', import.meta.url));
const network = why === undefined ? new TestNetwork() : undefined;
const processes: ChildProcess[] = [];

afterAll(async () => {
  await Promise.all(
    processes.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }),
  );
  network?.close();
});

describeWhere(why, 'a network that is cut and heals', () => {
  it('between pool and server, client and server, and client and pool, loses nothing, does nothing twice and answers nothing wrong', async () => {
    const net = network as TestNetwork;
    const spawn = (host: string, args: readonly string[]) => {
      const child = net.spawn(host, args, { TMPDIR: folder });
      processes.push(child);
      child.stderr?.resume();
      return child;
    };
    const names = ['server1', 'server2'];
    const effects = names.map((name) => join(folder, `cut-${name}`));
    const addresses = names.map((name) => net.add(name));
    const poolAddress = net.add('pool');
    net.add('client');
    const servers = names.map((name, i) => {
      const file = effects[i] ?? '';
      writeFileSync(file, '');
      return once(spawn(name, [effectScript, `tcp:${addresses[i]}:7471`, file]), 'message');
    });
    await Promise.all(servers);
    const list = addresses.map((address) => `axle://${address}:7471`).join(',');
    const where = ['--listen', `tcp:${poolAddress}:7471`, '--insecure'];
    const pool = spawn('pool', [axlePath, 'pool', '--servers', list, ...where]);
    await once(createInterface(pool.stdout as Readable), 'line');
    const client = await LoadClient.start(
      `axle://${poolAddress}:7471`,
      'cut',
      join(folder, 'cut-acks'),
      { ops: 'append,reverse', spawn: (args) => spawn('client', args) },
    );
    // Another one goes straight to the servers.
    const straight = addresses.map((address) => `server=axle://${address}:7471`).join('&');
    const direct = await LoadClient.start(
      `axle+pool:?${straight}`,
      'direct',
      join(folder, 'direct-acks'),
      { ops: 'append,reverse', spawn: (args) => spawn('client', args) },
    );
    const both = [client, direct];
    const more = (...ops: readonly LoadOp[]) =>
      Promise.all(both.map((each) => each.more(50, ...ops)));
    const forget = () => {
      for (const each of both) each.forget();
    };
    const pauses = async () => {
      const figures = await Promise.all(both.map((each) => each.figures()));
      return figures.map(({ longestMs }) => `${longestMs.reverse.toFixed(0)} ms`);
    };
    await more('append', 'reverse');
    const lines = createInterface(pool.stderr as Readable);
    const says = (what: RegExp) =>
      new Promise<void>((resolve) => {
        lines.on('line', (line) => {
          if (what.test(line)) resolve();
        });
      });
    const recoveries: string[] = [];
    for (const [i, host] of names.entries()) {
      forget();
      const noticed = says(new RegExp(`${addresses[i]}:7471 is lost`));
      net.set(host, 'down');
      // One cut is longer than the pool's patience with a silent server, the other one is not.
      if (i === 0) await noticed;
      await more('reverse');
      const back = i === 0 ? says(new RegExp(`${addresses[i]}:7471 is up`)) : undefined;
      net.set(host, 'up');
      await back;
      await more('append', 'reverse');
      const [through = '', straightOn = ''] = await pauses();
      recoveries.push(
        `pool and ${host} ${through}`,
        `client in direct mode and ${host} ${straightOn}`,
      );
    }
    forget();
    net.set('client', 'down');
    // Nobody tells how long a cut is: long enough for what is sent to be sent again in vain.
    await new Promise((resolve) => setTimeout(resolve, 700));
    net.set('client', 'up');
    await more('append', 'reverse');
    const [through = '', straightOn = ''] = await pauses();
    recoveries.push(`client and pool ${through}`, `client and both servers ${straightOn}`);
    const figures = await Promise.all(both.map((each) => each.stop()));
    console.log(`longest time without an answer, cut between ${recoveries.join(', ')}`);
    console.log(expectNoHarm(both, figures, effects));
  });
});
