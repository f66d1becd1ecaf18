import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, it } from 'vitest';

import { describeWhere } from './describe-where.js';
import { buildEarlierClient, earlierCommit, spawnEarlier } from './earlier-client.js';
import { expectNoHarm, LoadClient } from './load-client.js';
import { effectServer, kill, socketOf, startPool } from './pool-kit.js';
import { folder, serveUnix } from './serve.js';

const earlier = earlierCommit();
const clients: LoadClient[] = [];

afterAll(() => {
  for (const { process: client } of clients) client.kill('SIGKILL');
});

const lack = 'why' in earlier ? earlier.why : undefined;
describeWhere(lack, 'a client from before the numbers of the wire changed', () => {
  it('gets on with the servers and pools of today, also when they are killed', async () => {
    const { commit } = earlier as { readonly commit: string };
    const built = join(folder, 'earlier');
    mkdirSync(built);
    const script = await buildEarlierClient(commit, built);
    const effects = join(folder, 'earlier-effects');
    writeFileSync(effects, '');
    const effect = () => effectServer('earlier-effect', effects);
    const effectsServer = await effect();
    const killed = await serveUnix('earlier1.sock');
    await serveUnix('earlier2.sock');
    const names = ['earlier-effect', 'earlier1', 'earlier2'];
    await startPool('earlier', names.map(socketOf).join(','));
    const start = async (target: string, name: string, ops: string) => {
      const client = await LoadClient.start(socketOf(target), name, join(folder, `acks-${name}`), {
        ...{ ops, spawn: spawnEarlier(script) },
      });
      clients.push(client);
      return client;
    };
    const pooled = await start('earlier', 'pooled', 'append,reverse,compress');
    const direct = await start('earlier-effect', 'direct', 'append,reverse');
    await pooled.more(10, 'append', 'reverse', 'compress');
    await kill(killed);
    await pooled.more(10, 'compress');
    effectsServer.kill('SIGKILL');
    await effect();
    await pooled.more(10, 'append', 'reverse', 'compress');
    await direct.more(10, 'append', 'reverse');
    const figures = [await pooled.stop(), await direct.stop()];
    console.log(`client of ${commit.slice(0, 12)}: ${expectNoHarm(clients, figures, [effects])}`);
  });
});
