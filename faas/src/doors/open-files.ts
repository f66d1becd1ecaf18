import { readFileSync } from 'node:fs';

import { connectionsMax } from './door-limits.js';

/** Files that are left for instances, the state and the pool; where there are few at all, half of them. */
const othersMax = 2048;

/** How many connections a port takes at once: `connectionsMax`, or what `ulimit -n` leaves room for. */
export function connectionsRoom(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const [, files = 'unlimited'] = /^Max open files +(\d+|unlimited)/m.exec(limits) ?? [];
  if (files === 'unlimited') return connectionsMax;
  const room = Number(files) - Math.min(othersMax, Math.ceil(Number(files) / 2));
  return Math.min(connectionsMax, room);
}
