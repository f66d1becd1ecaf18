// For Axle's own packages: what a server is made of, and what a backend across the network is. No promise of stability.
export * from './index.js';
export { argumentError } from './argument-error.js';
export type {
  ArgSpec,
  Backend,
  BackendStream,
  BackendTask,
  CallAsCame,
  CustomOpSpec,
  Device,
  Health,
  LoadedModel,
  ModelFile,
  ModelSource,
  NamedTensor,
  OfferedOp,
  ResultAsCame,
  StreamOptions,
  StreamWriteResult,
  Support,
  SupportQuery,
  TaskOutcome,
  TaskMaking,
  TaskTiming,
  TensorSpec,
} from './backend.js';
export { BoundedLabels, otherLabel } from './bounded-labels.js';
export type { CallObserver, ObservedCall } from './call-observer.js';
export type { Cancellation, CancelListener } from './cancellation.js';
export type { CallOutcome } from './dispatch.js';
export type { DirectCalls, DirectListener } from './direct-calls.js';
export { directCallsMode } from './direct-calls-mode.js';
export type { Lane, LaneAnswers, LaneCaller, LaneListener, LaneWire } from './native-lanes.js';
export { connectLocal, connectTo, registerScheme } from './connect.js';
export type { Connector } from './connect.js';
export { asAxleError, messageOf } from './errors.js';
export { fileError } from './file-error.js';
export { DeviceFlag, OpFlag, OPS } from './generated/constants.js';
export type { OpName } from './generated/constants.js';
export { internalized } from './internalized.js';
export { limitsWith } from './limits.js';
export { inferChain } from './calls/infer-call.js';
export { checkNamed, namedTensors } from './named-inputs.js';
export { LruMap } from './lru-map.js';
export { LocalClient } from './local-client.js';
export { contentIdOf, manifestOf, servingIdOf, sha256Of, sortedByName } from './models/manifest.js';
export type { ModelCatalogue } from './models/library.js';
export type { QueuePolicy } from './models/config.js';
export type { Model } from './models/model.js';
export { OpenedModels } from './models/opened-models.js';
export { ModelRepository, type RepositoryEntry } from './models/repository.js';
export { CircuitBreaker, isOfDevice } from './plans/circuit-breaker.js';
export type { Preference } from './plans/router.js';
export { checkWanted } from './plans/wanted-device.js';
export type { QueueDepths } from './scheduling/device-queue.js';
export { LatencyProfile } from './scheduling/latency-profile.js';
export type { DeviceUse } from './device-uses.js';
export { lateAdvice } from './scheduling/scheduler.js';
export type { TimeSlice } from './scheduling/time-slices.js';
export { priorityOfLevel } from './scheduling/priority-levels.js';
export { activeTrace, isTraced, continueTrace, setTracePropagator } from './trace-context.js';
export type { TraceContext, TracePropagator } from './trace-context.js';
export { timesWithin } from './plausible-times.js';
export { refuseUnknownOptions } from './known-options.js';
export type { TenantShare } from './scheduling/tenants.js';
export { prefetchChain } from './prefetch-chain.js';
export { classifyChain } from './plans/classify.js';
export { argsKey, argTypeOf, FloatArg, hasFlag, sameRange, singleOp } from './op.js';
export type { OpArgs, OpArgValue, OpRange } from './op.js';
export type { Chain } from './plans/chain.js';
export type { Registry } from './registry.js';
export { openStream } from './open-stream.js';
export type { OpenedStream } from './open-stream.js';
export { Runtime } from './runtime.js';
export { Session } from './session.js';
export { timerMsMax } from './timer-limit.js';
export type { CallRequest, CallWork } from './session-call.js';
export { adoptTensor, tensorElsewhere, type TensorPlace } from './tensor.js';
export { copiedBytes } from './copied-bytes.js';
export { attachMemory, MappedMemory, SharedMemory } from './shared-memory.js';
