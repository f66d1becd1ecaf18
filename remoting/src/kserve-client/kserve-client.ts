import type { DataTypeName, Tensor } from '@axle/core/internal';

/** A client of a server that speaks KServe v2, with Triton's statistics: of Axle's doors, or of Triton itself. */
export interface KserveClient {
  /** @throws AxleError as the server refuses; UNAVAILABLE where none answers. */
  model(name: string, version: string): Promise<KserveModel>;
  /** Written down once, to be sent any number of times. @throws AxleError for tensors that the form has no way to say. */
  prepare(request: KserveRequest): PreparedRequest;
  /** Undefined where the server keeps none. */
  statistics(name: string, version: string): Promise<KserveStatistics | undefined>;
  close(): void;
}

export interface KserveModel {
  readonly name: string;
  readonly maxBatchSize: number;
  readonly inputs: readonly KserveInput[];
}

export interface KserveInput {
  readonly name: string;
  readonly dtype: DataTypeName;
  /** -1 stands for any; with the batch dimension, where `maxBatchSize` is over 0. */
  readonly shape: readonly number[];
}

export interface KserveRequest {
  readonly model: string;
  /** '' stands for the latest. */
  readonly version: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/**
 * Sends it, and resolves with the bytes of its answer, which is not read: what is measured is the server.
 *
 * @throws AxleError with the code that the server gave.
 */
export type PreparedRequest = () => Promise<number>;

/** What a model did since the server began; durations are sums of nanoseconds. */
export interface KserveStatistics {
  readonly inferenceCount: number;
  readonly executionCount: number;
  readonly successCount: number;
  readonly queueNs: number;
  readonly computeInputNs: number;
  readonly computeInferNs: number;
  /** Undefined: not taken apart. */
  readonly computeOutputNs: number | undefined;
}

/** How tensors go over REST. */
export interface TensorForms {
  readonly input: 'binary' | 'json';
  readonly output: 'binary' | 'json';
}
