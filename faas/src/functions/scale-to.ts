import type { Deployment } from './deployment.js';

/** Of one that was scaled to none: it ends as soon as it has no call. */
const atOnceMs = 1;

/** The deployment without instances, whatever it asks for by itself. */
export function scaledToNone(deployment: Deployment): Deployment {
  const { scaling } = deployment;
  return { ...deployment, scaling: { ...scaling, min: 0, toZero: true, idleMs: atOnceMs } };
}
