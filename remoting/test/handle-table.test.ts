import fc from 'fast-check';
import { expect, it } from 'vitest';

import { HandleTable } from '../src/handle-table.js';

it('finds what a Map would find, whichever stay open for however long', () => {
  const step = fc.record({
    gap: fc.integer({ min: 1, max: 700 }),
    close: fc.nat(3),
    which: fc.nat(),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 3000, minLength: 1 }),
      fc.nat(100_000),
      (steps, last) => {
        const table = new HandleTable<string>();
        const model = new Map<number, string>();
        let id = 0;
        for (const { gap, close, which } of steps) {
          id += gap;
          table.add(id, `of ${id}`);
          model.set(id, `of ${id}`);
          if (close > 0) {
            const ids = [...model.keys()];
            const closed = ids[which % ids.length] as number;
            table.delete(closed);
            table.delete(closed);
            model.delete(closed);
            expect(table.get(closed)).toBeUndefined();
          }
          expect(table.size).toBe(model.size);
        }
        for (const [open, value] of model) expect(table.get(open)).toBe(value);
        expect(table.lowest).toBe(Math.min(...model.keys()));
        const past = [...model].filter(([open]) => open > last);
        expect(table.takePast(last).sort(([a], [b]) => a - b)).toEqual(past);
        expect(table.size).toBe(model.size - past.length);
      },
    ),
    { numRuns: 30 },
  );
});
