import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { LinkedSet, type Linked } from '../src/pool/linked-set.js';

class Thing implements Linked<Thing> {
  isLinked = false;
  linkedBefore: Thing | undefined = undefined;
  linkedAfter: Thing | undefined = undefined;

  constructor(readonly name: number) {}
}

describe('a linked set', () => {
  it('has what a Set has, in the same order', () => {
    const changes = fc.array(fc.record({ at: fc.nat(6), isAdded: fc.boolean() }));
    fc.assert(
      fc.property(changes, (made) => {
        const things = Array.from({ length: 7 }, (_, name) => new Thing(name));
        const [linked, plain] = [new LinkedSet<Thing>(), new Set<Thing>()];
        for (const { at, isAdded } of made) {
          const thing = things[at] as Thing;
          if (isAdded) {
            linked.add(thing);
            plain.add(thing);
          } else expect(linked.delete(thing)).toBe(plain.delete(thing));
          expect([...linked]).toEqual([...plain]);
          expect(linked.size).toBe(plain.size);
          expect(linked.first).toBe([...plain][0]);
        }
      }),
    );
  });

  it('keeps nothing alive of what is gone', () => {
    const things = Array.from({ length: 3 }, (_, name) => new Thing(name));
    const linked = new LinkedSet<Thing>();
    for (const thing of things) linked.add(thing);
    for (const thing of linked) linked.delete(thing);
    expect(linked.size).toBe(0);
    for (const thing of things) {
      expect(thing).toMatchObject({ linkedBefore: undefined, linkedAfter: undefined });
    }
  });
});
