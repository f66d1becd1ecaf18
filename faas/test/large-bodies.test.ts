import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { TestFrontEnd } from './front-end.js';

let gate: TestFrontEnd;
beforeAll(async () => {
  gate = await TestFrontEnd.start();
});
afterAll(() => gate.close());

describe('a body over what a handler reads as a whole', () => {
  const over = new Uint8Array(64 * 1024 * 1024 + 1);

  it.each(['text', 'json', 'bytes'])(
    'is too large for %s, and the function runs on',
    async (as) => {
      await gate.deploy(
        `reads-${as}`,
        `export default async (event) => (await event.${as}()).length ?? 'none'`,
      );
      // With its length said, and as it comes.
      for (const body of [over, ReadableStream.from(chunked(over))]) {
        const answer = await fetch(`${gate.url}/function/reads-${as}`, {
          ...{ method: 'POST', body, duplex: 'half' as const },
        });
        expect(answer.status).toBe(413);
        expect(answer.headers.get('axle-code')).toBe('RESOURCE_EXHAUSTED');
        expect(answer.headers.get('axle-answered-by')).toBe('function');
        expect(await answer.text()).toMatch(
          /^RESOURCE_EXHAUSTED: the body is over 67108864 bytes, /,
        );
      }
      const fits = await gate.ask('POST', `/function/reads-${as}`, { body: '"abc"' });
      expect(fits.status).toBe(200);
    },
  );

  it('is an error as any other where the handler makes it one', async () => {
    await gate.deploy(
      'wraps',
      `export default async (event) => { try { await event.text(); } catch (cause) { throw new Error('wrapped', { cause }); } }`,
    );
    const answer = await fetch(`${gate.url}/function/wraps`, { method: 'POST', body: over });
    expect(answer.status).toBe(500);
  });
});

async function* chunked(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 1 << 20) {
    yield bytes.subarray(at, at + (1 << 20));
    await new Promise(setImmediate);
  }
}
