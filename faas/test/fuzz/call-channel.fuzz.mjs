import { ok } from 'node:assert';
import { PassThrough } from 'node:stream';

import { CallChannel } from '../../dist/channel/call-channel.js';
import { creditFrameOf, frameOf, headFrameOf } from '../../dist/channel/frame.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

const calls = 2;
const nothing = Buffer.alloc(0);
const head = { status: 200, headers: { 'x-a': 'b', 'set-cookie': ['1', '2'] } };
const failure = Buffer.from(
  '{"code":"NOT_FOUND","message":"no","retryable":true,"isBodyTooLarge":false,"thrown":{"type":"TypeError","message":"no","trace":["at a"]}}',
);

/**
 * Feeds a front end's channel with what an instance sends; the first byte says in pieces of which length it comes.
 *
 * @type {FuzzTarget}
 */
export const target = {
  about:
    'the channel from an instance: what breaks its rules ends it, and each call is answered once',
  run(bytes) {
    const stream = new PassThrough();
    /** @type {string[]} */
    const broken = [];
    const channel = new CallChannel(stream, {
      ...{ timeoutMs: 60_000, graceMs: 1000 },
      ...{ deaf: () => undefined, hung: () => undefined, retire: () => undefined },
      broken: (error) => {
        broken.push(error.code);
        channel.close(error);
      },
    });
    channel.ready.catch(() => undefined);
    const ended = Array.from({ length: calls }, () => ({ settled: 0, freed: 0 }));
    const { signal } = new AbortController();
    for (const each of ended) {
      const call = {
        id: '1',
        functionName: 'f',
        method: 'POST',
        path: '/',
        query: '',
        headers: {},
      };
      channel.invoke(
        { ...call, body: nothing, signal },
        {
          answered: ({ body, status }) => {
            each.settled += 1;
            ok(status >= 200 && status <= 599, 'a status that HTTP has not');
            if (!(body instanceof Uint8Array)) body.on('error', () => undefined).resume();
          },
          failed: () => (each.settled += 1),
          freed: () => (each.freed += 1),
        },
      );
    }
    const pieceBytes = Math.max(1, bytes[0] ?? 1);
    for (let at = 1; at < bytes.byteLength; at += pieceBytes)
      stream.emit('data', Buffer.from(bytes.subarray(at, at + pieceBytes)));
    ok(
      broken.length <= 1 && broken.every((code) => code === 'DATA_LOSS'),
      `broken: ${broken.join()}`,
    );
    channel.close(/** @type {never} */ (new Error('the end')));
    for (const { settled, freed } of ended) {
      ok(settled === 1, `a call was answered ${settled} times`);
      ok(freed === 1, `a call was let go ${freed} times`);
    }
  },
  seeds: () => {
    const whole = headFrameOf('ANSWER', 1, head, Buffer.from('body'), true);
    const begun = headFrameOf('ANSWER', 2, head, nothing, false);
    const data = frameOf('DATA', 2, Buffer.from('more'), true);
    const size = Buffer.from([255]);
    return [
      Buffer.concat([size, frameOf('READY', 0), whole]),
      Buffer.concat([Buffer.from([3]), begun, data]),
      Buffer.concat([size, frameOf('FAILED', 1, failure), frameOf('CANCEL', 2)]),
      Buffer.concat([size, frameOf('FAILED', 0, failure), creditFrameOf(1, 0)]),
    ];
  },
  dictionary: [
    ...['{"status":', '"headers":', '"code":', 'null', '[]', '200'],
    ...[Buffer.from([4, 0, 0, 0]), Buffer.from([255, 255, 255, 255]), Buffer.from([0, 0, 16, 0])],
  ],
};
