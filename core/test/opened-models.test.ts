import { describe, expect, it } from 'vitest';

import type { Model } from '../src/models/model.js';
import { OpenedModels } from '../src/models/opened-models.js';

function readerOf(bytes: Readonly<Record<string, number>> = {}) {
  const reads: string[] = [];
  const read = async (reference: string | URL) => {
    const name = String(reference);
    reads.push(name);
    await Promise.resolve();
    if (name === 'broken') throw new Error('it is broken');
    const data = new Uint8Array(bytes[name] ?? 0);
    return { name, source: { files: [{ name: 'model.onnx', data }] } } as unknown as Model;
  };
  return { reads, read };
}

describe('OpenedModels', () => {
  it('reads a model once, also for calls that come together', async () => {
    const { reads, read } = readerOf();
    const models = new OpenedModels(10, 1000, read);
    expect(models.known('a')).toBeUndefined();
    const [first, second] = await Promise.all([models.open('a'), models.open('a')]);
    expect(first).toBe(second);
    expect(models.known('a')).toBe(first);
    expect(await models.open('a')).toBe(first);
    expect(models.known(new URL('file:///a'))).toBeUndefined();
    const byUrl = await models.open(new URL('file:///a'));
    expect(models.known('file:///a')).toBe(byUrl);
    expect(reads).toEqual(['a', 'file:///a']);
  });

  it('does not keep a failure', async () => {
    const { reads, read } = readerOf();
    const models = new OpenedModels(10, 1000, read);
    await expect(models.open('broken')).rejects.toThrow('it is broken');
    await expect(models.open('broken')).rejects.toThrow('it is broken');
    expect(reads).toHaveLength(2);
  });

  it('forgets those that were used longest ago: there are too many', async () => {
    const { read } = readerOf();
    const models = new OpenedModels(2, 1000, read);
    await models.open('a');
    await models.open('b');
    expect(models.known('a')).toBeDefined();
    await models.open('c');
    expect(['a', 'b', 'c'].filter((name) => models.known(name))).toEqual(['a', 'c']);
  });

  it('forgets those that were used longest ago: they are too large', async () => {
    const { read } = readerOf({ a: 40, b: 40, c: 40, huge: 500 });
    const models = new OpenedModels(10, 100, read);
    for (const name of ['a', 'b', 'c']) await models.open(name);
    expect(['a', 'b', 'c'].filter((name) => models.known(name))).toEqual(['b', 'c']);
    await models.open('huge');
    expect(['a', 'b', 'c', 'huge'].filter((name) => models.known(name))).toEqual(['huge']);
  });
});
