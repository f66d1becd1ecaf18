import { describe, expect, it } from 'vitest';

import { LruMap } from '../src/lru-map.js';

describe('LruMap', () => {
  it('forgets the entry that was used longest ago when it is full', () => {
    const map = new LruMap<string, number>(3);
    for (const [i, key] of ['a', 'b', 'c'].entries()) map.set(key, i);
    expect(map.get('a')).toBe(0);
    map.set('d', 3);
    expect(map.size).toBe(3);
    expect(map.get('b')).toBeUndefined();
    map.set('e', 4);
    expect(['a', 'b', 'c', 'd', 'e'].map((key) => map.get(key))).toEqual([
      0,
      undefined,
      undefined,
      3,
      4,
    ]);
  });

  it('takes another value for a key without forgetting one', () => {
    const map = new LruMap<string, number>(2);
    map.set('a', 1);
    map.set('b', 2);
    map.set('a', 3);
    expect([map.get('a'), map.get('b')]).toEqual([3, 2]);
  });
});
