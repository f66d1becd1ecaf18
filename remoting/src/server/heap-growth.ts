import { setFlagsFromString } from 'node:v8';

/** What lives after a collection, and three times as much, is there before the next: V8's own most. */
const growthPercent = 300;

/**
 * For the process of a server, and for no process of somebody else's. V8 sets by itself how far the heap may grow until it is
 * collected as a whole, and after a moment without work sets it close. Messages are memory outside of the heap that counts
 * there too: the next load then reaches that mark within a few hundred calls, again and again, since little of the heap is
 * garbage each time. Calls then took up to twice the CPU, of this thread and of those that mark.
 */
export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
}
