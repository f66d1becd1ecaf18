// For Axle's own packages: what a server is made of, and what a backend across the network is. No promise of stability.
export * from './index.js';
export type {
  ArgSpec,
  Backend,
  BackendStream,
  BackendTask,
  CustomOpSpec,
  Device,
  Health,
  LoadedModel,
  ModelSource,
  NamedTensor,
  OfferedOp,
  StreamOptions,
  StreamWriteResult,
  Support,
  SupportQuery,
  TaskOutcome,
  TaskTiming,
  TensorSpec,
} from './backend.js';
export type { Cancellation } from './cancellation.js';
export type { CallOutcome } from './dispatch.js';
export { asAxleError, messageOf } from './errors.js';
export { DeviceFlag, OpFlag, OPS } from './generated/constants.js';
export type { OpName } from './generated/constants.js';
export { limitsWith } from './limits.js';
export { LocalClient } from './local-client.js';
export type { Model } from './models/model.js';
export { argsKey, argTypeOf, FloatArg, hasFlag } from './op.js';
export type { OpArgs, OpArgValue, OpRange } from './op.js';
export type { Chain } from './plans/chain.js';
export type { Registry } from './registry.js';
export { openStream } from './open-stream.js';
export type { OpenedStream } from './open-stream.js';
export { Runtime } from './runtime.js';
export { Session } from './session.js';
export type { CallRequest, CallWork } from './session-call.js';
