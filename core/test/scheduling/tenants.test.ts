import { expect, it } from 'vitest';

import { Tenants } from '../../src/scheduling/tenants.js';

it('remembers what a tenant had beyond its share, however many others come and go', () => {
  const tenants = new Tenants();
  const comeAndGo = (name: string) => {
    const tenant = tenants.arrive(name, 1);
    tenant.waiting -= 1;
    return tenant;
  };
  tenants.charge(comeAndGo('greedy'), 100);
  const modest = comeAndGo('modest');
  for (let i = 0; i < 1024; i++) comeAndGo(`other ${i}`);
  expect(tenants.arrive('greedy', 1).virtualMs).toBe(100);
  // That there was somebody to forget.
  expect(tenants.arrive('modest', 1)).not.toBe(modest);
});

it('says what a new task of a tenant finds: its own tasks, and the turns of others by weight', () => {
  const tenants = new Tenants();
  expect(tenants.aheadOf({ tenant: 'new', weight: 1 })).toEqual({ own: 0, turns: 1 });
  for (let i = 0; i < 10; i++) tenants.arrive('flood', 1);
  const heavy = tenants.arrive('heavy', 3);
  heavy.waiting -= 1;
  heavy.sent += 1;
  expect(tenants.aheadOf({ tenant: 'new', weight: 1 })).toEqual({ own: 0, turns: 5 });
  expect(tenants.aheadOf({ tenant: 'heavy', weight: 3 })).toEqual({ own: 1, turns: 1 + 1 / 3 });
  expect(tenants.aheadOf({ tenant: 'flood', weight: 1 })).toEqual({ own: 10, turns: 4 });
});
