import { AxleError } from '@axle/core/internal';
import { describe, expect, it } from 'vitest';

import type { RemoteBackend } from '../src/client/remote-backend.js';
import { Upstreams } from '../src/relay/upstreams.js';

describe('the connection of a relay itself', () => {
  const remote = { close: () => Promise.resolve() } as RemoteBackend;
  const away = new AxleError('UNAVAILABLE', 'it ended');

  it('is tried for again while its server may only be away, where it is waited for', async () => {
    const failures = [away, away];
    const open = () => {
      const failure = failures.shift();
      return failure === undefined ? Promise.resolve(remote) : Promise.reject(failure);
    };
    await expect(Upstreams.connect(open, { name: 'gpu1', hasNames: false })).rejects.toBe(away);
    const server = await Upstreams.connect(open, { name: 'gpu1', hasNames: false, msMax: 30_000 });
    expect(server.own).toBe(remote);
    await server.close();
  });

  it('is not tried for again after a refusal', async () => {
    const refusal = new AxleError('UNAUTHENTICATED', 'no');
    let tries = 0;
    const open = () => {
      tries += 1;
      return Promise.reject(refusal);
    };
    await expect(
      Upstreams.connect(open, { name: 'gpu1', hasNames: false, msMax: 30_000 }),
    ).rejects.toBe(refusal);
    expect(tries).toBe(1);
  });
});
