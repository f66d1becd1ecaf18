import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { afterAll, it } from 'vitest';

import { describeWhere } from './describe-where.js';
import { expectNoHarm, LoadClient } from './load-client.js';
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
  it('between pool and server, and between client and pool, loses nothing, does nothing twice and answers nothing wrong', async () => {
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
    await client.more(50, 'append', 'reverse');
    const lines = createInterface(pool.stderr as Readable);
    const says = (what: RegExp) =>
      new Promise<void>((resolve) => {
        lines.on('line', (line) => {
          if (what.test(line)) resolve();
        });
      });
    const recoveries: string[] = [];
    for (const [i, host] of names.entries()) {
      client.forget();
      const noticed = says(new RegExp(`${addresses[i]}:7471 is lost`));
      net.set(host, 'down');
      // One cut is longer than the pool's patience with a silent server, the other one is not.
      if (i === 0) await noticed;
      await client.more(50, 'reverse');
      const back = i === 0 ? says(new RegExp(`${addresses[i]}:7471 is up`)) : undefined;
      net.set(host, 'up');
      await back;
      await client.more(50, 'append', 'reverse');
      const { longestMs } = await client.figures();
      recoveries.push(`pool and ${host} ${longestMs.reverse.toFixed(0)} ms`);
    }
    client.forget();
    net.set('client', 'down');
    // Nobody tells how long a cut is: long enough for what is sent to be sent again in vain.
    await new Promise((resolve) => setTimeout(resolve, 700));
    net.set('client', 'up');
    await client.more(50, 'append', 'reverse');
    recoveries.push(`client and pool ${(await client.figures()).longestMs.reverse.toFixed(0)} ms`);
    const figures = await client.stop();
    console.log(`longest time without an answer, cut between ${recoveries.join(', ')}`);
    console.log(expectNoHarm([client], [figures], effects));
  });
});
