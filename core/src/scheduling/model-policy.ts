import type { Device } from '../backend.js';
import type { DynamicBatching, QueuePolicy } from '../models/config.js';
import type { Model } from '../models/model.js';
import { alonePolicy, type BatchPolicy, type QueueBounds } from './batch-policy.js';
import type { PriorityLevels } from './priority-levels.js';
import { batchTasksMax } from './scheduler.js';

/** Of a batchable op that runs no model: its tasks are independent, and that is all that is known of them. */
export function opPolicy(batchMax: number): BatchPolicy {
  return { ...alonePolicy, itemsMax: batchMax === 0 ? batchTasksMax : batchMax };
}

/**
 * How tasks of a model are put together on a device, as the model's config says.
 *
 * @param batchMax most tasks that the device computes together; 0 = no limit of its own.
 */
export function modelPolicy(model: Model, device: Device, batchMax: number): BatchPolicy {
  const { dynamicBatching, maxBatchSize, sloAware } = model;
  const common = { ...alonePolicy, predictable: true, instances: instancesOn(model, device) };
  if (dynamicBatching === undefined) return common;
  const { maxQueueDelayMs, preferredBatchSizes, preserveOrdering } = dynamicBatching;
  const itemsMax = batchMax === 0 ? maxBatchSize : Math.min(maxBatchSize, batchMax);
  return {
    ...common,
    itemsMax,
    preferredItems: preferredBatchSizes.filter((size) => size <= itemsMax),
    delayMs: maxQueueDelayMs,
    ...boundsOf(dynamicBatching.queuePolicy),
    levels: levelsOf(dynamicBatching),
    preserveOrdering,
    sloAware,
  };
}

function boundsOf({ maxQueueSize, timeoutMs, timeoutAction }: QueuePolicy): QueueBounds {
  return { queueMax: maxQueueSize, queueTimeoutMs: timeoutMs, onTimeout: timeoutAction };
}

function levelsOf({ priorityLevels }: DynamicBatching): PriorityLevels | undefined {
  if (priorityLevels === undefined) return undefined;
  const { count, defaultLevel, queuePolicies } = priorityLevels;
  const bounds = queuePolicies.map(({ level, policy }) => ({ level, ...boundsOf(policy) }));
  return { count, defaultLevel, bounds };
}

/** 0: as many as the device takes. */
function instancesOn({ instanceGroups }: Model, { kind }: Device): number {
  return instanceGroups
    .filter((group) => group.kind === 'any' || group.kind === kind)
    .reduce((sum, group) => sum + group.count, 0);
}
