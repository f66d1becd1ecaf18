import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { AxleError, connect, type Client } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** What plain JavaScript may give, types or not: each must be refused by a typed error, by the promise. */
describe('what no type allows', () => {
  let axle: Client;

  beforeAll(async () => {
    axle = await connect();
  });
  afterAll(() => axle.close());

  const nothing = null as never;
  /** An object that has no text. */
  const bare = Object.create(null) as never;
  const bytes = new Uint8Array(8);
  const image = new Float32Array(1024);
  const cases: readonly (readonly [what: string, call: () => Promise<unknown>, said: RegExp])[] = [
    [
      'options of infer of several',
      () => axle.infer('mlp', [{ image }], nothing),
      /options is null; give an object/,
    ],
    ['options of run of several', () => axle.run('a/b', [{}], nothing), /options is null/],
    ['a model', () => axle.infer(bare, { image }), /model is .*give a name/],
    ['a codec', () => axle.compress(bytes, { codec: bare }), /there is no codec .*give one of/],
    ['a codec in a list', () => axle.compress(bytes, { codec: ['zstd'] as never }), /no codec/],
    [
      'an error',
      () => axle.compress(bytes, { priority: new Error('e') as never }),
      /^priority is Error: e; give a whole number from -100 to 100$/,
    ],
    ['no plugin', () => connect({ plugins: [nothing] }), /one of 'plugins' is null; give {name/],
    [
      'an iterable that is none',
      () => axle.compress({ [Symbol.asyncIterator]: 5 } as never),
      /the input is object; give a Buffer/,
    ],
  ];

  it.each(cases)('%s', async (_what, call, said) => {
    const error: unknown = await call().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AxleError);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((error as AxleError).message).toMatch(said);
  });

  it('a list with a model in it is no model, also once that model was read', async () => {
    await axle.infer('mlp', { image });
    const call = axle.infer(['mlp'] as never, { image });
    await expect(call).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it("inputs whose getter throws fail the call with the getter's error", async () => {
    const inputs = {
      get image(): Float32Array {
        throw new Error('of the getter');
      },
    };
    let call: Promise<unknown> | undefined;
    expect(() => (call = axle.infer('mlp', inputs))).not.toThrow();
    await expect(call).rejects.toThrow('of the getter');
  });

  it('a stream that nobody wrote to does not hold the process with its deadline', async () => {
    const script = `
      const { connect } = await import('axle');
      const axle = await connect();
      axle.compressStream({ deadlineMs: 600_000 });
      axle.decompressWebStream({ deadlineMs: Infinity });
      await axle.close();`;
    const args = ['--input-type=module', '-e', script];
    await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
  });
});
