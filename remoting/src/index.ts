export * from './generated/wire.js';
export type * from './wire/frames.js';
export { decodeFrame } from './wire/decode-frame.js';
export { FrameSplitter, RawFrame, type Side } from './wire/frame-splitter.js';
export { FrameWriter } from './wire/frame-writer.js';
export { WireError } from './wire/wire-error.js';
export { ModelManager, type PushOptions } from './client/model-manager.js';
export * from './client.js';
export { connectBackend } from './client/connect-remote.js';
export { connectKserve } from './kserve-client/connect-kserve.js';
export type {
  KserveClient,
  KserveModel,
  KserveStatistics,
  PreparedRequest,
  TensorForms,
} from './kserve-client/kserve-client.js';
export { DeviceHosts, type DeviceHostsOptions } from './hosts/device-hosts.js';
export { endpointSchemes, readEndpoint } from './endpoint.js';
export type { TenantShares } from './hosts/host-message.js';
export { connectRelays } from './relay/connect-relay.js';
export type { FarDevice } from './pool/far-device.js';
export { isServerList, readServerFile } from './pool/server-list.js';
export { PoolBackend, poolLimits, type PoolBackendOptions } from './pool/pool-backend.js';
export type { Log, LogFields, LogFormat, LogLevel } from './log/log.js';
export { AuditLog } from './log/audit-log.js';
export { UsageLog, type UsageLine } from './usage/usage-log.js';
export { rotatingFilesMax } from './log/rotating-file.js';
export { LogLevels } from './log/log-levels.js';
export { jsonLine, textLine } from './log/log-line.js';
export { setUpServerHeap } from './server/server-heap.js';
export { readListenSpec, type ListenSpec } from './server/listen-spec.js';
export { ResourceStore, type ResourceStoreOptions } from './store/resource-store.js';
export { defaultStoreBytesMax, type TenantStoreLimits } from './store/store-limits.js';
export { Server, type ServerOptions, type ServerUsage } from './server/server.js';
export {
  loadServeSettings,
  type ServeOptions,
  type ServeSettings,
} from './server/settings/serve-settings.js';
export { SettingsSource } from './server/settings/settings-source.js';
export { TemporaryFolder } from './temporary-folder.js';
export { isTenantName } from './trust/tenant-name.js';
export { queueDepthsOf } from './trust/tenants.js';
export { tenantUriPrefix } from './trust/certificate-tenant.js';
export { readTokenLines, tokenFileBytesMax, writeTokenLines } from './trust/token-lines.js';
export { createToken, tokenState, type TokenRecord } from './trust/tokens.js';
