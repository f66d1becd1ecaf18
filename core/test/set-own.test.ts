import { expect, it } from 'vitest';

import { setOwn } from '../src/set-own.js';

it('sets what is named as a property of all objects', () => {
  const object: Record<string, object> = {};
  const value = { x: 1 };
  setOwn(object, '__proto__', value);
  setOwn(object, 'y', value);
  expect(Object.keys(object)).toEqual(['__proto__', 'y']);
  expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
});
