import type { CallReport, Tensor } from '@axle/core/internal';

import type { Placement } from '../kserve/infer-request.js';

/** Messages of proto/axle/v1/axle.proto, as protobufjs reads them with all defaults. */

export interface CallOptionsMessage {
  readonly priority: number;
  readonly device: string;
  readonly strict: boolean;
}

export interface TensorMessage {
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export interface ClassifyMessage {
  readonly image: Uint8Array;
  readonly model: string;
  readonly version: number;
  readonly top_k: number;
  readonly options: CallOptionsMessage | null;
}

export interface InferMessage {
  readonly model: string;
  readonly version: number;
  readonly inputs: Readonly<Record<string, TensorMessage>>;
  readonly options: CallOptionsMessage | null;
}

export interface PrefetchMessage {
  readonly model: string;
  readonly version: number;
  readonly options: CallOptionsMessage | null;
}

export interface CompressMessage {
  readonly data: Uint8Array;
  readonly codec: string;
  readonly level: number;
  readonly options: CallOptionsMessage | null;
}

export interface DecompressMessage {
  readonly data: Uint8Array;
  readonly codec: string;
  readonly output_bytes_max: number;
  readonly options: CallOptionsMessage | null;
}

type Value = boolean | number | string | Uint8Array;

export interface RunMessage {
  readonly op: string;
  readonly inputs: Readonly<Record<string, TensorMessage>>;
  readonly args: Readonly<
    Record<string, Readonly<Record<string, Value>> & { readonly value?: string }>
  >;
  readonly options: CallOptionsMessage | null;
}

export function placementOf(options: CallOptionsMessage | null): Placement {
  if (options === null) return {};
  const { priority, device, strict } = options;
  return device === '' ? { priority } : { priority, device, strict };
}

export function versionOf(version: number): string {
  return version === 0 ? '' : String(version);
}

export function tensorMessage({ dtype, shape, bytes }: Tensor): TensorMessage {
  return { datatype: dtype, shape, data: bytes };
}

export function tensorMessages(outputs: Readonly<Record<string, Tensor>>): object {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, each]) => [name, tensorMessage(each)]),
  );
}

export function argsOf({ args }: RunMessage): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(args).flatMap(([name, argument]) => {
      const value = argument[argument.value ?? ''];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

export function reportMessage({ device, steps, timingMs, fallbacks }: CallReport): object {
  return {
    device,
    steps: steps.map((each) => ({
      step: each.step,
      device: each.device,
      queue_ms: each.timingMs.queue,
      transfer_ms: each.timingMs.transfer,
      compute_ms: each.timingMs.compute,
      batch_size: each.batchSize,
    })),
    total_ms: timingMs.total,
    queue_ms: timingMs.queue,
    transfer_ms: timingMs.transfer,
    compute_ms: timingMs.compute,
    fallbacks,
  };
}
