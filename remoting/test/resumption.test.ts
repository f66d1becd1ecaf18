import { describe, expect, it } from 'vitest';

import type { Front } from '../src/server/front.js';
import { KeptAnswers } from '../src/server/kept-answers.js';
import { KeptCall } from '../src/server/kept-call.js';
import { Resumption } from '../src/server/resumption.js';
import { VirtualTimers } from './virtual-timers.js';

const nonceOf = (n: number) =>
  Uint8Array.from({ length: 16 }, (_, i) => (i < 2 ? n >> (8 * i) : 1));
const connection = { supersede: () => undefined };

describe('clients that lost their connection', () => {
  it('are remembered for resumeMs, those that leave or have no nonce not at all', () => {
    const timers = new VirtualTimers();
    const resumption = new Resumption(60_000, timers);
    const record = resumption.attach('a', nonceOf(1), connection);
    record?.detach(7);
    if (record !== undefined) resumption.lost(record);
    timers.advance(59_999);
    const back = resumption.attach('a', nonceOf(1), connection);
    expect(back?.lastHandle).toBe(7);
    // Connected, it is not forgotten.
    timers.advance(60_000);
    expect(resumption.clients).toBe(1);
    back?.detach(9);
    if (back !== undefined) resumption.lost(back);
    timers.advance(60_000);
    expect(resumption.clients).toBe(0);
    const leaving = resumption.attach('a', nonceOf(1), connection);
    expect(leaving?.lastHandle).toBe(0);
    if (leaving !== undefined) {
      leaving.hasLeft = true;
      leaving.detach(1);
      resumption.lost(leaving);
    }
    expect(resumption.clients).toBe(0);
    expect(resumption.attach('a', new Uint8Array(16), connection)).toBeUndefined();
    expect(timers.waiting).toBe(0);
  });

  it('are at most 1024 for a tenant, the oldest go, and no other tenant loses one', () => {
    const resumption = new Resumption(60_000, new VirtualTimers());
    const lose = (tenant: string, n: number) => {
      const record = resumption.attach(tenant, nonceOf(n), connection);
      record?.detach(n + 1);
      if (record !== undefined) resumption.lost(record);
    };
    lose('b', 0);
    for (let n = 0; n < 1030; n++) lose('a', n);
    expect(resumption.clients).toBe(1025);
    const lastHandleOf = (tenant: string, n: number) =>
      resumption.attach(tenant, nonceOf(n), connection)?.lastHandle;
    expect([lastHandleOf('a', 5), lastHandleOf('a', 6), lastHandleOf('b', 0)]).toEqual([0, 7, 1]);
    resumption.close();
    expect(resumption.clients).toBe(3);
  });
});

describe('answers that are kept', () => {
  const kept = (answers: KeptAnswers, calls: Map<number, KeptCall>, id: number, bytes: number) => {
    const call = new KeptCall(calls, answers, id, undefined);
    call.settle(() => undefined, bytes);
  };

  it('stay within bounds on count and bytes: the oldest are forgotten', () => {
    const calls = new Map<number, KeptCall>();
    const answers = new KeptAnswers(3, 100);
    for (let id = 1; id <= 4; id++) kept(answers, calls, id, 10);
    expect([...calls.keys()]).toEqual([2, 3, 4]);
    kept(answers, calls, 5, 85);
    expect([...calls.keys()]).toEqual([4, 5]);
    kept(answers, calls, 6, 101);
    expect(calls.size).toBe(0);
    expect(answers.size).toBe(0);
    kept(answers, calls, 7, 100);
    expect([...calls.keys()]).toEqual([7]);
  });

  it('are sent where their client is, and again where it asks again', () => {
    const sent: string[] = [];
    const frontOf = (name: string) => ({ name }) as unknown as Front;
    const call = new KeptCall(new Map(), new KeptAnswers(), 1, frontOf('first'));
    expect(call.answerAgain(frontOf('early'))).toBe(false);
    call.settle((front) => sent.push((front as unknown as { name: string }).name), 0);
    expect(call.answerAgain(frontOf('second'))).toBe(true);
    expect(sent).toEqual(['first', 'second']);
  });
});
