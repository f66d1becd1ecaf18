import { totalmem } from 'node:os';

/** What one tenant, or a whole server, may have at a time. */
export interface Quotas {
  /** Open connections; each is a session. */
  readonly connections: number;
  /** Open handles of all its connections. */
  readonly handles: number;
  /** Calls and streams that are not answered. */
  readonly calls: number;
  /** Inputs of those calls, from when they are announced until the answer, and tensors that are kept, bytes. */
  readonly requestBytes: number;
  /** Answers of doors that wait for their clients to take them, bytes. */
  readonly answerBytes: number;
  /** Models that are kept for it. */
  readonly models: number;
  /** Files of those models, each charged in full whoever else has the same, bytes. */
  readonly modelBytes: number;
  /** Shared memory of its connections, used or not, bytes; one that finds none left does without. */
  readonly sharedMemoryBytes: number;
}

export type QuotaName = keyof Quotas;

const MiB = 1024 * 1024;

/** Of each tenant, where its operator says nothing else. */
export const defaultQuotas: Quotas = {
  connections: 256,
  handles: 262_144,
  calls: 4096,
  requestBytes: 2048 * MiB,
  answerBytes: 1024 * MiB,
  models: 256,
  modelBytes: 16_384 * MiB,
  sharedMemoryBytes: 2048 * MiB,
};

/** Of a server as a whole, where its operator says nothing else. */
export function defaultServerLimits(): Quotas {
  return {
    connections: 4096,
    handles: 4_194_304,
    calls: 65_536,
    requestBytes: Math.floor(memoryBytes() / 2),
    answerBytes: Math.floor(memoryBytes() / 4),
    models: 65_536,
    modelBytes: 1_048_576 * MiB,
    sharedMemoryBytes: 8192 * MiB,
  };
}

/** Of the machine, or what the container may use of it. */
function memoryBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

export const quotaNames = Object.keys(defaultQuotas) as readonly QuotaName[];

/** What messages say of each: '64 open connections'. */
export const quotaWords: Readonly<Record<QuotaName, string>> = {
  connections: 'open connections',
  handles: 'open handles',
  calls: 'calls that are not answered',
  requestBytes: 'bytes of inputs and of tensors that are kept',
  answerBytes: 'bytes of answers that wait for their clients',
  models: 'models',
  modelBytes: 'bytes of models',
  sharedMemoryBytes: 'bytes of shared memory',
};
