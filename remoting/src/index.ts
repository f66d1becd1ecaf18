export * from './generated/wire.js';
export type * from './wire/frames.js';
export { decodeFrame } from './wire/decode-frame.js';
export { FrameSplitter, RawFrame, type Side } from './wire/frame-splitter.js';
export { FrameWriter } from './wire/frame-writer.js';
export { WireError } from './wire/wire-error.js';
export { ModelManager, type PushOptions } from './client/model-manager.js';
export { connectRemote } from './client/connect-remote.js';
export { readListenSpec, type ListenSpec } from './server/listen-spec.js';
export { ResourceStore, type ResourceStoreOptions } from './store/resource-store.js';
export {
  defaultStoreBytesMax,
  defaultTenantStoreLimits,
  type TenantStoreLimits,
} from './store/store-limits.js';
export { Server, type ServerOptions } from './server/server.js';
