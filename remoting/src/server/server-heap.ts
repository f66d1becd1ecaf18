import { setFlagsFromString } from 'node:v8';

/** What lives after a collection, and three times as much, is there before the next: V8's own most. */
const growthPercent = 300;

/**
 * Sets up V8 for a process whose calls come, hold a message, and are gone: to be called first, in the process of a server, and in
 * no process of somebody else's.
 *
 * - A heap may grow by a fixed part until it is marked as a whole. V8 sets that by what it measures, close after a moment
 *   without work, and messages count there: a server then marked several times for each thousand calls.
 * - Nothing is allocated as old from the start. V8 does so where what a line of code made has outlived a scavenge, as calls of
 *   a door with many in flight do: then each call of any door is old, and with it all that it holds, until the heap is
 *   marked.
 */
export function setUpServerHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
  setFlagsFromString('--no-allocation-site-pretenuring');
}
