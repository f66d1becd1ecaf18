import { AxleError } from 'axle';

import { isFunctionName } from '../bundles/bundle-reference.js';
import { objectOf, parseObject, type Fields } from '../json-fields.js';
import type { Deployment, ScalingPolicy } from './deployment.js';

/** Rises when what is stored changes its meaning. */
const formatVersion = 1;

export function writeStoredDeployment(deployment: Deployment): string {
  return JSON.stringify({ version: formatVersion, deployment });
}

/**
 * Reads what `writeStoredDeployment` wrote; somebody may have changed it since.
 *
 * @throws AxleError DATA_LOSS
 */
export function readStoredDeployment(text: string, name: string): Deployment {
  try {
    const { version, deployment } = parseObject(text, 'it');
    if (version !== formatVersion) throw new Error(`it has version ${JSON.stringify(version)}`);
    const fields = objectOf(deployment, 'deployment');
    checkDeployment(fields, name);
    return fields as unknown as Deployment;
  } catch (error) {
    throw new AxleError(
      'DATA_LOSS',
      `the stored deployment of ${name} cannot be read: ${(error as Error).message}; deploy it again`,
      { cause: error },
    );
  }
}

function checkDeployment(fields: Fields, name: string): void {
  if (fields['name'] !== name || !isFunctionName(name)) throw wrong('name');
  if (typeof fields['bundleId'] !== 'string' || !/^[0-9a-f]{64}$/.test(fields['bundleId'])) {
    throw wrong('bundleId');
  }
  for (const each of ['image', 'createdAt'])
    if (typeof fields[each] !== 'string') throw wrong(each);
  if (Number.isNaN(Date.parse(fields['createdAt'] as string))) throw wrong('createdAt');
  for (const each of ['environment', 'labels', 'annotations']) {
    if (!Object.values(objectOf(fields[each], each)).every(isText)) throw wrong(each);
  }
  const { secrets } = fields;
  if (!Array.isArray(secrets) || !secrets.every(isText)) throw wrong('secrets');
  for (const each of ['memoryMiB', 'timeoutMs', 'concurrency', 'generation']) {
    if (!isCount(fields[each]) || fields[each] === 0) throw wrong(each);
  }
  checkScaling(objectOf(fields['scaling'], 'scaling'));
}

function checkScaling(policy: Partial<ScalingPolicy>): void {
  const counts = [
    policy.min,
    policy.max,
    policy.target,
    policy.idleMs,
    policy.inFlightMax,
    policy.queueMax,
  ];
  const isSound =
    counts.every(isCount) &&
    typeof policy.toZero === 'boolean' &&
    (policy.by === 'concurrency' || policy.by === 'rate');
  if (!isSound) throw wrong('scaling');
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function wrong(field: string): Error {
  return new Error(`its ${field} is not what it was written as`);
}
