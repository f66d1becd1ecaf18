import { setTimeout as delay } from 'node:timers/promises';

import type { ErrorCodeName } from '@axle/core';

import { FileError } from '../failure.js';
import type { GatewayClient } from './gateway-client.js';

/** Of a function, what tells whether it starts. */
interface StartStatus {
  readonly replicas: number;
  /** Ready ones, of any version. */
  readonly availableReplicas?: number;
  /** Ready ones of what was deployed last; undefined: another gateway, which does not say. */
  readonly updatedReplicas?: number;
  /** Why what was deployed last does not start. */
  readonly failure?: { readonly code: ErrorCodeName; readonly message: string };
}

const msPerSecond = 1000;
const firstPauseMs = 20;
const longestPauseMs = 500;

/**
 * Settles when an instance of what was deployed last is ready. A function that would wait for its first call is asked for
 * one instance, which ends again after its idle time.
 *
 * @throws FileError with the reason why it does not start; DEADLINE_EXCEEDED.
 */
export async function untilReady(
  client: GatewayClient,
  name: string,
  seconds: number,
  signal: AbortSignal,
): Promise<void> {
  const lateAt = performance.now() + seconds * msPerSecond;
  let pauseMs = firstPauseMs;
  let hasAsked = false;
  for (;;) {
    const path = `/system/function/${encodeURIComponent(name)}`;
    const { replicas, availableReplicas, updatedReplicas, failure } =
      await client.json<StartStatus>('GET', path, signal);
    if (updatedReplicas === undefined || updatedReplicas > 0) return;
    if (failure !== undefined) {
      const { code, message } = failure;
      const older = (availableReplicas ?? 0) > 0 ? '; what was deployed before serves on' : '';
      throw new FileError(code, `${name} is deployed and does not start: ${message}${older}`);
    }
    if (replicas === 0 && !hasAsked) {
      hasAsked = true;
      const body = JSON.stringify({ serviceName: name, replicas: 1 });
      const scalePath = `/system/scale-function/${encodeURIComponent(name)}`;
      await client.send('POST', scalePath, { body, signal });
    }
    if (performance.now() >= lateAt) {
      throw new FileError(
        'DEADLINE_EXCEEDED',
        `${name} is deployed, and no instance of it was ready within ${seconds} s; see axle function logs ${name}`,
      );
    }
    await delay(pauseMs, undefined, { signal });
    pauseMs = Math.min(longestPauseMs, 2 * pauseMs);
  }
}
