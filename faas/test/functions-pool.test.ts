import { once } from 'node:events';

import { ThreadInstanceProvider } from '@axle/faas';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { serveUnix, type RunningServer } from '../../test/e2e/serve.js';
import { RunningFunctions, textOf } from './running-functions.js';

let pool: RunningServer;
let functions: RunningFunctions;
const prefetched: unknown[] = [];
beforeAll(async () => {
  pool = await serveUnix('pool', '--in-process');
  functions = await RunningFunctions.open(
    {},
    {
      pool: () => ({ url: pool.endpoint, token: '' }),
      prefetch: ({ name }, models) => prefetched.push([name, ...models]),
    },
  );
});
afterAll(() => functions[Symbol.asyncDispose]());

describe('a function with a pool', () => {
  it('has it connected, with its models loaded while it boots', async () => {
    await functions.deploy(
      'classifies',
      `export default async (event, { axle, remainingMs }) => {
         const { results } = await axle.classify(await event.bytes(), { deadlineMs: remainingMs() });
         return results[0].label;
       }`,
      { manifest: { models: ['glyphs'] } },
    );
    const image = await functions.sample('A.png');
    expect(await functions.text('classifies', image)).toBe('A');
    expect(prefetched).toEqual([['classifies', 'glyphs']]);
  });

  it.each(['process', 'thread'])(
    'takes the client from its bundle, all of it: %s',
    async (kind) => {
      const provider = kind === 'thread' ? { provider: new ThreadInstanceProvider() } : {};
      const access = { pool: () => ({ url: pool.endpoint, token: '' }) };
      const running = await RunningFunctions.open({}, { ...access, ...provider });
      try {
        await running.deploy(
          'bundled',
          `import { AxleError } from 'axle';
         import { AxleError as Same } from 'axle/errors';
         export default async (event, { axle }) => {
           const thrown = await axle.classify(new Uint8Array(3)).catch((error) => error);
           return [import.meta.resolve('axle'), thrown instanceof AxleError, Same === AxleError].join();
         }`,
        );
        // Where it is older than what it was made of, instances do without: `npm run build` makes it.
        expect(await running.text('bundled')).toMatch(/axle[/]build[/]index[.]js,true,true$/);
      } finally {
        await running[Symbol.asyncDispose]();
      }
    },
  );

  it('cannot start without a model that it names, and says so', async () => {
    await functions.deploy('wants', 'export default () => 1', {
      manifest: { models: ['nowhere'] },
    });
    await expect(functions.call('wants')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(
        /^no instance of the function wants runs: .*nowhere/,
      ) as string,
    });
  });

  it('starts though the pool is gone, and has it when it is back', async () => {
    pool.process.kill('SIGKILL');
    await once(pool.process, 'exit');
    await functions.deploy(
      'without',
      `export default async (event, context) => {
         if (event.path === '/') return 'runs';
         return (await context.axle.classify(await event.bytes())).results[0].label;
       }`,
      { manifest: { models: ['glyphs'] } },
    );
    expect(await functions.text('without')).toBe('runs');
    const body = await functions.sample('A.png');
    const asks = () => functions.call('without', { path: '/classify', body });
    await expect(asks()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
      message: expect.stringMatching(/^the pool does not answer: /) as string,
    });
    pool = await serveUnix('pool', '--in-process');
    await expect.poll(() => asks().then(textOf, () => 'not yet'), { timeout: 30_000 }).toBe('A');
  });

  it('waits for a pool that is gone, and answers when it is back', async () => {
    await functions.deploy(
      'compresses',
      `export default async (event, context) => {
         context.log('calls');
         const { data } = await context.axle.compress(await event.bytes(), { deadlineMs: context.remainingMs() });
         return String(data.byteLength > 0);
       }`,
    );
    expect(await functions.text('compresses', 'before')).toBe('true');
    pool.process.kill('SIGKILL');
    await once(pool.process, 'exit');
    const answer = functions.call('compresses', {
      id: 'meanwhile',
      body: Buffer.from('meanwhile'),
    });
    await functions.line(/\[meanwhile\] calls/);
    pool = await serveUnix('pool', '--in-process');
    expect(await textOf(await answer)).toBe('true');
  });
});
