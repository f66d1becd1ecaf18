import { expect, it } from 'vitest';

import { jsonWaitingMax, jsonWaitingOfAllMax } from '../src/doors/door-limits.js';
import { JsonThreads } from '../src/doors/http/json-threads.js';

const tooMuch = { code: 'RESOURCE_EXHAUSTED', retryable: true };

it('so much JSON of one tenant waits, and of all tenants, and one more is refused', async () => {
  const threads = new JsonThreads();
  const ask = (tenant: string) =>
    threads.run(tenant, { kind: 'readOptions', json: Buffer.from('{}'), bytesMax: 2 }, []);
  // In one turn of the loop no thread is there to take any.
  const waiting = Array.from({ length: jsonWaitingMax }, () => ask('a'));
  const ended = Promise.allSettled(waiting);
  const refused = expect(ask('a')).rejects;
  const others = Array.from({ length: jsonWaitingOfAllMax - jsonWaitingMax }, (_, i) =>
    ask(`t${i}`),
  );
  const othersEnded = Promise.allSettled(others);
  const alsoRefused = expect(ask('b')).rejects;
  await refused.toMatchObject({
    ...tooMuch,
    message: expect.stringMatching(/^1024 .* of tenant a /) as string,
  });
  await alsoRefused.toMatchObject({
    ...tooMuch,
    message: expect.stringMatching(/^4096 .* of all tenants /) as string,
  });
  await threads.close();
  const taken = [...(await ended), ...(await othersEnded)];
  expect(taken).toHaveLength(jsonWaitingOfAllMax);
  const reasons = taken.flatMap((each) =>
    each.status === 'rejected' ? [(each.reason as { code?: string }).code] : [],
  );
  expect(reasons).not.toContain('RESOURCE_EXHAUSTED');
});

it('what waits for a thread that does not come up is refused, and its owner is told', async () => {
  // From here the thread's program is not found.
  let isLost = false;
  const threads = new JsonThreads(() => {
    isLost = true;
  });
  const json = Buffer.from('{}');
  const asked = ['a', 'b', 'c'].map((tenant) =>
    threads.run(tenant, { kind: 'readOptions', json, bytesMax: 2 }, []),
  );
  for (const each of await Promise.allSettled(asked)) {
    expect(each).toMatchObject({ reason: { code: 'UNAVAILABLE', retryable: true } });
  }
  expect(isLost).toBe(true);
});
