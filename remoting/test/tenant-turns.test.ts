import { Piscina } from 'piscina';
import { expect, it } from 'vitest';

import { TenantTurns } from '../src/doors/http/tenant-turns.js';

type Task = Parameters<TenantTurns['push']>[0];

const taskOf = (name: string) =>
  ({ name, [Piscina.queueOptionsSymbol]: { tenant: name.charAt(0) } }) as unknown as Task;

function taken(turns: TenantTurns): string {
  const names: string[] = [];
  while (turns.size > 0) names.push((turns.shift() as unknown as { name: string }).name);
  return names.join(' ');
}

it('takes tasks tenant by tenant, and of each in their order', () => {
  const turns = new TenantTurns();
  for (const name of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) turns.push(taskOf(name));
  expect(turns.size).toBe(6);
  expect(turns.waitingOf('a')).toBe(3);
  expect(taken(turns)).toBe('a1 b1 c1 a2 b2 a3');
  expect(turns.shift()).toBeNull();
  expect(turns.waitingOf('a')).toBe(0);
});

it('gives a task that no thread could take its turn back', () => {
  const turns = new TenantTurns();
  for (const name of ['a1', 'a2', 'b1']) turns.push(taskOf(name));
  const first = turns.shift() as Task;
  turns.unshift(first);
  expect(taken(turns)).toBe('a1 b1 a2');
});

it('lets go of a task', () => {
  const turns = new TenantTurns();
  const [one, two] = [taskOf('a1'), taskOf('a2')];
  turns.push(one);
  turns.push(two);
  turns.remove(one);
  turns.remove(one);
  expect(taken(turns)).toBe('a2');
});
