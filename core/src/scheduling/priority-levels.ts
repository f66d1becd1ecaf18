import type { QueueBounds } from './batch-policy.js';

/** Priorities of calls: whole numbers from -priorityMax to priorityMax; higher goes first, and 0 says nothing. */
export const priorityMax = 100;
/** Most levels: as many as there are priorities. */
export const priorityLevelsMax = 2 * priorityMax + 1;

/** Triton's `priority_levels` of a model: level 1 goes first, and each level is a queue of its own. */
export interface PriorityLevels {
  readonly count: number;
  /** Of calls that ask for none of them. */
  readonly defaultLevel: number;
  /** Of single levels, ascending; the others have the bounds of the policy. */
  readonly bounds: readonly LevelBounds[];
}

export interface LevelBounds extends QueueBounds {
  readonly level: number;
}

/** What a call of a level, from 1 up, has for its priority: levels below the last priority share it. */
export function priorityOfLevel(level: number): number {
  return Math.max(-priorityMax, priorityMax + 1 - level);
}

/** The priority of a call among calls of a model with levels: that of its level, or else of the default level. */
export function priorityAmong(levels: PriorityLevels, priority: number): number {
  const level = levelOf(priority);
  return level <= levels.count ? priority : priorityOfLevel(levels.defaultLevel);
}

/** What bounds the queue of a priority that `priorityAmong` gave. */
export function boundsAmong(
  levels: PriorityLevels,
  priority: number,
  otherwise: QueueBounds,
): QueueBounds {
  const level = levelOf(priority);
  return levels.bounds.find((bounds) => bounds.level === level) ?? otherwise;
}

function levelOf(priority: number): number {
  return priorityMax + 1 - priority;
}
