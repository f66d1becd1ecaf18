import { createRequire } from 'node:module';

import type { Model, TensorSpec } from '@axle/core/internal';

const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string };

/** What this server is to clients of the protocol. */
export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

export function serverMetadata(hasSharedMemory: boolean): ServerMetadata {
  const extensions = [
    'classification',
    'binary_tensor_data',
    'parameters',
    'model_configuration',
    'model_repository',
    'statistics',
    'trace',
    'logging',
    ...(hasSharedMemory ? ['system_shared_memory'] : []),
  ];
  return { name: 'axle', version, extensions };
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** Triton's word for the models that Axle runs. */
export const platform = 'onnxruntime_onnx';

export function modelMetadata(
  name: string,
  versions: readonly string[],
  model: Model,
): ModelMetadata {
  const { inputs, outputs } = model;
  return {
    name,
    versions,
    platform,
    inputs: inputs.map(tensorMetadata),
    outputs: outputs.map(tensorMetadata),
  };
}

function tensorMetadata(spec: TensorSpec): TensorMetadata {
  return { name: spec.name, datatype: spec.dtype, shape: toldShape(spec) };
}

/** The protocol has no word for a tensor of any number of dimensions, and `[]` is a scalar: one of any size stands for it. */
export function toldShape({ shape, anyRank }: TensorSpec): readonly number[] {
  return anyRank === true ? [-1] : shape;
}
