// npm run bench -- remoting: what a call to a server costs, beside other ways to call one.
import { benchCalls } from './remoting/calls.mjs';
import { benchDistance } from './remoting/distance.mjs';
import { benchMix } from './remoting/mix.mjs';
import { benchSharedMemory } from './remoting/shared-memory.mjs';
import { benchUpload } from './remoting/upload.mjs';

/**
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<import('./row.mjs').Row[]>}
 */
export async function benchRemoting(progress, only) {
  return [
    ...(await benchDistance(progress, only)),
    ...(await benchCalls(progress, only)),
    ...(await benchSharedMemory(progress, only)),
    ...(await benchMix(progress, only)),
    ...(await benchUpload(progress, only)),
  ];
}
