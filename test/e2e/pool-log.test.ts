import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { limitsWith, LocalClient, Runtime, Session } from '@axle/core/internal';
import { PoolBackend } from '@axle/remoting';
import { describe, expect, it, vi } from 'vitest';

import { kill, serveLone, socketOf } from './pool-kit.js';
import { bytesOf, folder } from './serve.js';
import { afterTest } from './tenants-server.js';

const waitMs = 30_000;

describe('what a pool logs', () => {
  it('is of each server once: that it is not there and why, is up, is lost, is empty, is let go', async () => {
    const first = await serveLone('logged1');
    writeFileSync(join(folder, 'logged3.sock'), 'no socket');
    const names = ['logged1', 'logged2', 'logged3'];
    const urls = names.map((name) => new URL(socketOf(name)));
    const log: string[] = [];
    const backend = await PoolBackend.connect({
      ...{ servers: urls, connect: {} },
      log: (line) => log.push(line),
    });
    const limits = limitsWith({});
    const runtime = await Runtime.start({
      ...{ plugins: [], decodesImages: false, models: [], limits },
      ...{ backends: [backend], catalogue: backend.catalogue },
    });
    const client = new LocalClient(new Session(runtime, 'local', 1, limits), () => runtime.close());
    afterTest(() => client.close());
    const lines = (name: string) => log.filter((line) => line.includes(`${name}.sock is `));
    const until = (name: string, line: RegExp, count = 1) => {
      const passing = () => lines(name).filter((each) => line.test(each)).length >= count;
      return vi.waitUntil(passing, { timeout: waitMs });
    };
    await until('logged2', /is not there: no server answers/);
    await until('logged3', /is not there: no server answers/);
    const { devices } = await client.devices();
    expect(devices[0]).toMatchObject({
      healthMessage: expect.stringMatching(/logged2 is connecting \(no server/) as string,
    });
    // The connection of the pool and that of its tenant are lost, and come back.
    await client.compress(bytesOf(100));
    await kill(first);
    await until('logged1', /is lost/);
    await serveLone('logged1');
    await until('logged1', /is up/, 2);
    await client.compress(bytesOf(100));
    await serveLone('logged2');
    await until('logged2', /is up/);
    backend.setServers(urls, new Set([socketOf('logged1')]));
    await until('logged1', /is empty/);
    backend.setServers(urls.slice(1), new Set());
    await until('logged1', /is let go/);
    expect(lines('logged1')).toEqual([
      expect.stringMatching(/is up/),
      expect.stringMatching(/is lost/),
      expect.stringMatching(/is up/),
      expect.stringMatching(/is empty: no task was moved/),
      expect.stringMatching(/is let go/),
    ]);
    expect(lines('logged2')).toEqual([
      expect.stringMatching(/is not there/),
      expect.stringMatching(/is up/),
    ]);
    expect(lines('logged3')).toHaveLength(1);
  });
});
