import { OpFlag } from '@axle/core/internal';
import { describe, expect, it } from 'vitest';

import { callOf, hello } from '../../test/e2e/raw-peer.js';
import { noCredentials } from '../src/client/credentials.js';
import { RemoteBackend } from '../src/client/remote-backend.js';
import { bindCustom, CustomBackend, customOp, giveBack, peerOf, streamTo } from './front-kit.js';

const lost = { state: 'LOST', message: 'it fell off the bus' } as const;
const none = new Uint8Array(0);
const degraded = { state: 'DEGRADED', message: 'hot' } as const;

function backend(): CustomBackend {
  return new CustomBackend('soft', OpFlag.PURE, giveBack);
}

describe('the description of a server', () => {
  it('says how its devices are and what runs them', async () => {
    const soft = backend();
    soft.itsHealth = degraded;
    const peer = await peerOf([soft]);
    peer.send(hello, { type: 'DESCRIBE', id: 1, watch: false });
    expect(await peer.answerOf(1)).toMatchObject({ type: 'DONE' });
    const [device, op] = peer.frames.filter(({ id }) => id === 1);
    const state = { health: 'DEGRADED', message: 'hot', waitUs: 0 };
    expect(device).toMatchObject({ type: 'DEVICE', backendVersion: '1.2.3', ...state });
    expect(op).toMatchObject({ type: 'OP', name: customOp });
    peer.close();
  });

  it('goes on with what changes, until it is released', async () => {
    const soft = backend();
    const peer = await peerOf([soft]);
    peer.send(hello, { type: 'DESCRIBE', id: 1, watch: true });
    peer.send({ type: 'DESCRIBE', id: 2, watch: true }, { type: 'DESCRIBE', id: 3, watch: false });
    for (const id of [1, 2, 3]) await peer.answerOf(id);
    peer.send({ type: 'RELEASE', id: 2 });
    soft.itsHealth = lost;
    const told = { type: 'HEALTH', id: 1, device: 0, waitUs: 0, ...lost };
    expect(await peer.waitFor(({ type }) => type === 'HEALTH')).toMatchObject(told);
    soft.itsHealth = { state: 'OK', message: '' };
    await peer.waitFor((frame) => frame.type === 'HEALTH' && frame.state === 'OK');
    expect(peer.frames.filter(({ type }) => type === 'HEALTH')).toHaveLength(2);
    peer.close();
  });

  it('says how long a task would wait', async () => {
    const running: (() => void)[] = [];
    const soft = new CustomBackend('soft', OpFlag.PURE, (task) => {
      running.push(() => {
        giveBack(task);
      });
    });
    const peer = await peerOf([soft]);
    peer.send(hello, bindCustom(1), callOf(2, 1, none));
    while (running.length === 0) await new Promise(setImmediate);
    running.pop()?.();
    await peer.answerOf(2);
    peer.send({ type: 'DESCRIBE', id: 3, watch: true });
    await peer.answerOf(3);
    for (let id = 4; id < 1000; id++) peer.send(callOf(id, 1, none));
    const waits = await peer.waitFor((frame) => frame.type === 'HEALTH' && frame.waitUs > 0);
    expect(waits).toMatchObject({ state: 'OK', device: 0 });
    peer.close();
  });

  it('is what its client says of the health of a device', async () => {
    const soft = backend();
    const remote = await RemoteBackend.connect(
      {
        url: new URL('axle+unix:/nowhere'),
        dial: async () => ({ stream: await streamTo([soft]), credentials: noCredentials }),
        alternates: new Map(),
      },
      'remote',
    );
    const [device] = remote.devices;
    if (device === undefined) throw new Error('there is no device');
    expect(device).toMatchObject({ id: 'remote/soft:0', version: '1.2.3' });
    expect(await remote.health(device)).toEqual({ state: 'OK', message: '' });
    soft.itsHealth = lost;
    let health = await remote.health(device);
    while (health.state === 'OK') {
      await new Promise(setImmediate);
      health = await remote.health(device);
    }
    expect(health).toEqual(lost);
    await remote.close();
    expect(await remote.health(device)).toMatchObject({ state: 'LOST' });
  });
});
