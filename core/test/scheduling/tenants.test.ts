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
