export type {
  BinaryInput,
  CallOptions,
  ClassifyOptions,
  Client,
  CompressOptions,
  CustomOpArg,
  ExplainOptions,
  DecompressOptions,
  InferOptions,
  KeepingInferOptions,
  KeepingRunOptions,
  NamedInputs,
  PutOptions,
  RunOptions,
} from './client.js';
export type { CallEvent, CallSummary } from './call-channel.js';
export type { CodecStream } from './codec-stream.js';
export type { CodecWebStream } from './codec-web-stream.js';
export type { ClientTlsOptions, ConnectOptions, ReconnectOptions } from './connect.js';
export { AxleError, errorCodeOf } from './errors.js';
export type { AxleErrorOptions } from './errors.js';
export { dataTypeNameOf } from './data-types.js';
export {
  ArgType,
  CODEC_LEVELS,
  DATA_TYPE_BYTES,
  DataType,
  DeviceKind,
  ErrorCode,
  HealthState,
} from './generated/constants.js';
export type {
  ArgTypeName,
  CodecName,
  DataTypeName,
  DeviceKindName,
  ErrorCodeName,
  HealthStateName,
} from './generated/constants.js';
export { KeptTensor } from './kept-tensor.js';
export { defaultLimits } from './limits.js';
export type { Limits } from './limits.js';
export type { PluginSpec } from './plugin-spec.js';
export type {
  CallReport,
  ClassifyResult,
  CompressResult,
  CustomOpReport,
  DecompressResult,
  DeviceReport,
  DevicesReport,
  ExplainReport,
  FailedAttempt,
  InferResult,
  KeptInferResult,
  KeptRunResult,
  Label,
  ModelReport,
  PlanReport,
  PlanStepReport,
  RunResult,
  StepReport,
  TensorReport,
  TimingMs,
  UnavailableBackend,
} from './results.js';
export type { TaskEvent, TaskName } from './task-event.js';
export { Tensor } from './tensor.js';
export type { AnyTensor, TensorData, TensorDataOf } from './tensor.js';
