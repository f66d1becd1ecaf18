import { expect, it } from 'vitest';

import { soak } from './soak.mjs';

it('holds no more after twenty thousand calls and twenty lost connections than before', async () => {
  const looks: object[] = [];
  const { effects, connections } = await soak({
    calls: 20_000,
    cutEvery: 1000,
    lookEvery: 4000,
    look: ({ calls: _, ...held }) => looks.push(held),
  });
  expect(effects).toBe(2000);
  expect(connections).toBeGreaterThan(15);
  const { answers: firstAnswers, ...first } = looks[0] as Record<string, number>;
  expect(first).toMatchObject({ unanswered: 0, journalled: 2, clients: 1 });
  for (const look of looks.slice(1)) {
    const { answers, ...others } = look as Record<string, number>;
    expect(others).toEqual(first);
    // Acknowledged in batches: those of the last one are there.
    expect(answers).toBeLessThanOrEqual(2 * 64);
  }
  expect(firstAnswers).toBeLessThanOrEqual(2 * 64);
});
