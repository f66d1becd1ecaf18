import type { CallOptions, CallReport, Tensor } from '@axle/core/internal';

export type ParameterValue = boolean | number | bigint | string;
export type Parameters = ReadonlyMap<string, ParameterValue>;

export const noParameters: Parameters = new Map();

/** Where a caller wants its work done. */
export type Placement = Pick<CallOptions, 'device' | 'strict' | 'priority'>;

/** One inference as every door hands it on: what a protocol writes in its own way has been read, and nothing is judged. */
export interface InferRequest {
  readonly modelName: string;
  /** '' stands for the latest. */
  readonly modelVersion: string;
  /** Comes back in the answer. */
  readonly id: string;
  readonly parameters: Parameters;
  readonly inputs: readonly RequestInput[];
  /** None: all. */
  readonly outputs: readonly RequestedOutput[];
  /** Where it is to run, of protocols that can say it. */
  readonly placement?: Placement;
}

export interface RequestInput {
  readonly name: string;
  /** As the sender calls it. */
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly parameters: Parameters;
  /** The raw form; undefined: the request does not carry it. */
  readonly data: Uint8Array | undefined;
}

export interface RequestedOutput {
  readonly name: string;
  readonly parameters: Parameters;
}

export interface InferAnswer {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly parameters: Parameters;
  /** As they were asked for. */
  readonly outputs: readonly AnswerOutput[];
  readonly report: CallReport;
}

export interface AnswerOutput {
  readonly name: string;
  readonly tensor: Tensor;
  /** What was asked of it. */
  readonly asked: Parameters;
  /** Where it is, if it was written to a region of shared memory. */
  readonly elsewhere?: Parameters;
}
