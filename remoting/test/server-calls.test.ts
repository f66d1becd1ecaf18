import { OpFlag, type BackendTask } from '@axle/core/internal';
import { describe, expect, it } from 'vitest';

import { callOf, hello } from '../../test/e2e/raw-peer.js';
import type { CallFrame, PutFrame } from '../src/wire/frames.js';
import { bindCustom, CustomBackend, failTask, giveBack, peerOf } from './front-kit.js';

const { PURE, STATEFUL } = OpFlag;
const none = new Uint8Array(0);

function bytes(length: number): Uint8Array {
  return new Uint8Array(length).fill(7);
}

function putOf(id: number, data: Uint8Array): PutFrame {
  const shape = [data.byteLength];
  return {
    type: 'PUT',
    id,
    tensor: { source: 'INLINE', slot: 0, dtype: 'UINT8', shape, name: '', data },
  };
}

/** A call whose one input is an output of another handle. */
function callWith(
  id: number,
  binding: number,
  handle: number,
  changes: Partial<CallFrame> = {},
  output = 0,
): CallFrame {
  const inputs = [{ source: 'HANDLE', slot: 0, handle, output }] as const;
  return callOf(id, binding, none, { inputs, ...changes });
}

describe('outputs that stay on the server', () => {
  const pure = () => new CustomBackend('soft', PURE, giveBack);

  it('are the inputs of a call that was sent before they were there, also after their release', async () => {
    const waiting: BackendTask[] = [];
    const backend = new CustomBackend('soft', PURE, (task) => waiting.push(task));
    const peer = await peerOf([backend]);
    peer.send(
      hello,
      bindCustom(1),
      callOf(2, 1, bytes(100), { keep: true, omit: true }),
      callWith(3, 1, 2),
      { type: 'RELEASE', id: 2 },
      callWith(4, 1, 2),
    );
    expect(await peer.answerOf(4)).toMatchObject({ code: 'NOT_FOUND', cause: 0 });
    expect(waiting).toHaveLength(1);
    giveBack(waiting.pop() as BackendTask);
    const first = { type: 'RESULT', outputs: [{ source: 'OMITTED', bytes: 100, shape: [100] }] };
    expect(await peer.answerOf(2)).toMatchObject(first);
    while (waiting.length === 0) await new Promise(setImmediate);
    giveBack(waiting.pop() as BackendTask);
    expect(await peer.answerOf(3)).toMatchObject({ outputs: [{ source: 'INLINE', shape: [100] }] });
    peer.close();
  });

  it('are put there, kept until their release, and mixed with others in order', async () => {
    const peer = await peerOf([pure()]);
    const tensor = { dtype: 'UINT8', shape: [3], name: '' } as const;
    peer.send(
      hello,
      bindCustom(1),
      putOf(2, bytes(5)),
      callOf(3, 1, none, {
        inputs: [
          { source: 'INLINE', slot: 0, ...tensor, data: bytes(3) },
          { source: 'HANDLE', slot: 1, handle: 2, output: 0 },
          { source: 'FOLLOWS', slot: 2, ...tensor, bytes: 3 },
        ],
      }),
      { type: 'DATA', id: 3, end: false, data: bytes(3) },
      callWith(4, 1, 2),
      { type: 'RELEASE', id: 2 },
      callWith(5, 1, 2),
    );
    expect(await peer.answerOf(2)).toMatchObject({ type: 'DONE' });
    const shapes = [{ shape: [3] }, { shape: [5] }, { shape: [3] }];
    expect(await peer.answerOf(3)).toMatchObject({ outputs: shapes });
    expect(await peer.answerOf(4)).toMatchObject({ outputs: [{ shape: [5] }] });
    expect(await peer.answerOf(5)).toMatchObject({ code: 'NOT_FOUND' });
    peer.close();
  });

  it('fail what waits for them with the first cause, however far away', async () => {
    const peer = await peerOf([new CustomBackend('soft', PURE, failTask)]);
    peer.send(
      hello,
      bindCustom(1),
      callOf(2, 1, bytes(1), { keep: true }),
      callWith(3, 1, 2, { keep: true }),
      callWith(4, 1, 3),
    );
    for (const id of [3, 4]) {
      const error = { code: 'UNAVAILABLE', cause: 2, message: 'this device is at rest' };
      expect(await peer.answerOf(id)).toMatchObject(error);
    }
    peer.send(callWith(5, 1, 3));
    expect(await peer.answerOf(5)).toMatchObject({ code: 'UNAVAILABLE', cause: 2 });
    peer.close();
  });

  it('fail what waits for a call that is cancelled', async () => {
    const peer = await peerOf([new CustomBackend('soft', PURE, () => undefined)]);
    peer.send(hello, bindCustom(1), callOf(2, 1, none, { keep: true }), callWith(3, 1, 2));
    peer.send({ type: 'CANCEL', id: 2 });
    expect(await peer.answerOf(3)).toMatchObject({ code: 'CANCELLED', cause: 2 });
    peer.close();
  });

  it.each<[string, number]>([
    ['while it runs', 0],
    ['when it has run', 1],
  ])('are none of a call without KEEP, %s', async (_when, answered) => {
    const run = answered === 0 ? () => undefined : giveBack;
    const peer = await peerOf([new CustomBackend('soft', PURE, run)]);
    peer.send(hello, bindCustom(1), callOf(2, 1, none));
    if (answered === 1) await peer.answerOf(2);
    peer.send(callWith(3, 1, 2));
    expect(await peer.answerOf(3)).toMatchObject({ code: 'FAILED_PRECONDITION', cause: 0 });
    peer.close();
  });

  it.each<[string, number, number, string]>([
    ['an output that is not there', 2, 7, 'INVALID_ARGUMENT'],
    ['a binding', 1, 0, 'NOT_FOUND'],
    ['the call itself', 3, 0, 'NOT_FOUND'],
  ])('are refused as %s', async (_what, handle, output, code) => {
    const peer = await peerOf([pure()]);
    peer.send(hello, bindCustom(1), putOf(2, bytes(1)), callWith(3, 1, handle, {}, output));
    expect(await peer.answerOf(3)).toMatchObject({ type: 'ERROR', code });
    peer.close();
  });

  it('count for their connection until they are released', async () => {
    const peer = await peerOf([pure()], { keptBytesMax: 1000 });
    peer.send(hello, bindCustom(1), putOf(2, bytes(600)), putOf(3, bytes(401)));
    expect(await peer.answerOf(2)).toMatchObject({ type: 'DONE' });
    expect(await peer.answerOf(3)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    peer.send(callWith(4, 1, 2, { keep: true }));
    expect(await peer.answerOf(4)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    peer.send({ type: 'RELEASE', id: 2 }, callOf(5, 1, bytes(1000), { keep: true }));
    expect(await peer.answerOf(5)).toMatchObject({ type: 'RESULT' });
    peer.send({ type: 'RELEASE', id: 5 }, putOf(6, bytes(1000)));
    expect(await peer.answerOf(6)).toMatchObject({ type: 'DONE' });
    peer.close();
  });

  it('are not waited for past a deadline', async () => {
    const peer = await peerOf([new CustomBackend('soft', PURE, () => undefined)]);
    peer.send(hello, bindCustom(1), callOf(2, 1, none, { keep: true }));
    peer.send(callWith(3, 1, 2, { deadlineUs: 5000 }));
    expect(await peer.answerOf(3)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    peer.close();
  });
});

describe('calls of a binding', () => {
  it.each<[string, number, number]>([
    ['run one after another in the order of their handles if their op is stateful', STATEFUL, 1],
    ['run together if it is not', PURE, 3],
  ])('%s', async (_how, flags, together) => {
    const running: BackendTask[] = [];
    let most = 0;
    const backend = new CustomBackend('soft', flags, (task) => {
      running.push(task);
      most = Math.max(most, running.length);
      setImmediate(() => {
        running.splice(running.indexOf(task), 1);
        giveBack(task);
      });
    });
    const peer = await peerOf([backend]);
    const follows = { source: 'FOLLOWS', slot: 0, dtype: 'UINT8', shape: [9], name: '', bytes: 9 };
    peer.send(hello, bindCustom(1));
    // The first has to wait for its data, and the others for it if they must.
    peer.send(callOf(2, 1, none, { inputs: [follows as CallFrame['inputs'][number]] }));
    peer.send(callOf(3, 1, bytes(1)), callOf(4, 1, bytes(1)), callOf(5, 1, bytes(1)));
    if (together > 1) await peer.answerOf(5);
    peer.send({ type: 'DATA', id: 2, end: false, data: bytes(9) });
    for (const id of [2, 3, 4, 5]) await peer.answerOf(id);
    const order = peer.frames.filter(({ type }) => type === 'RESULT').map(({ id }) => id);
    expect(order).toEqual(together === 1 ? [2, 3, 4, 5] : [3, 4, 5, 2]);
    expect(most).toBe(together);
    peer.close();
  });

  it('of a stateful op go on when one of them fails or is cancelled', async () => {
    let first = true;
    const backend = new CustomBackend('soft', STATEFUL, (task) => {
      if (first) failTask(task);
      else giveBack(task);
      first = false;
    });
    const peer = await peerOf([backend]);
    const follows = { source: 'FOLLOWS', slot: 0, dtype: 'UINT8', shape: [9], name: '', bytes: 9 };
    const inputs = [follows as CallFrame['inputs'][number]];
    peer.send(hello, bindCustom(1), callOf(2, 1, none), callOf(3, 1, none, { inputs }));
    peer.send(callOf(4, 1, bytes(1)), { type: 'CANCEL', id: 3 });
    expect(await peer.answerOf(4)).toMatchObject({ type: 'RESULT' });
    peer.close();
  });

  it('tell of their making if they were asked to', async () => {
    const broken = new CustomBackend('broken', PURE, failTask);
    const peer = await peerOf([broken, new CustomBackend('soft', PURE, giveBack)]);
    const device = 'broken';
    peer.send(hello, bindCustom(1, { device, steps: true }), bindCustom(2, { device }));
    peer.send(callOf(3, 1, bytes(1)), callOf(4, 2, bytes(1)));
    expect(await peer.answerOf(3)).toMatchObject({
      device: 1,
      steps: [{ first: 0, last: 0, device: 1, batchSize: 1, computeUs: 1000 }],
      fallbacks: [{ code: 'UNAVAILABLE', device: 0, message: 'this device is at rest' }],
    });
    expect(await peer.answerOf(4)).toMatchObject({ device: 1, steps: [], fallbacks: [] });
    peer.close();
  });
});
