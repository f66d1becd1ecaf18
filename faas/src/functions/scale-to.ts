import type { Deployment } from './deployment.js';

/** Of one that was scaled to none: it ends as soon as it has no call. */
const atOnceMs = 1;

/** The deployment with as many instances as were asked for, until it is deployed again. */
export function scaledTo(deployment: Deployment, replicas: number): Deployment {
  const { scaling } = deployment;
  const max = Math.max(scaling.max, replicas);
  if (replicas > 0) return { ...deployment, scaling: { ...scaling, min: replicas, max } };
  return { ...deployment, scaling: { ...scaling, min: 0, toZero: true, idleMs: atOnceMs } };
}
