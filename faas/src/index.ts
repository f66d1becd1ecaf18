export {
  bundleFilesMax,
  bundleBytesMax,
  bundleFileContent,
  bundleIdOf,
  readBundleFiles,
} from './bundles/bundle-files.js';
export type { BundleFile } from './bundles/bundle-files.js';
export { bundleLabel, isFunctionName, parseBundleReference } from './bundles/bundle-reference.js';
export type { BundleReference } from './bundles/bundle-reference.js';
export { checkCommandFile } from './bundles/command-file.js';
export { BundleStore } from './bundles/bundle-store.js';
export type { Bundle, BundleStoreOptions, BundleTag } from './bundles/bundle-store.js';
export { manifestFile, parseFunctionManifest } from './bundles/function-manifest.js';
export type { FunctionManifest } from './bundles/function-manifest.js';
export type { Calls, FunctionAnswer, FunctionCall, Headers } from './calls/function-call.js';
export { FunctionCalls, instanceAgeMsMax } from './calls/function-calls.js';
export type { FunctionCallsOptions } from './calls/function-calls.js';
export type { FunctionReport } from './calls/served-function.js';
export type { Deployment, ScalingPolicy } from './functions/deployment.js';
export type { FunctionContext } from './handler/function-context.js';
export type { FunctionEvent } from './handler/function-event.js';
export type {
  CallOutcome,
  Instance,
  InstanceAnswer,
  InstanceEvents,
  InstanceProvider,
  InstanceSpec,
  LogLine,
  PoolAccess,
  RunningCall,
} from './instances/instance.js';
export { GuestInstanceProvider } from './instances/guest-instance-provider.js';
export type {
  GuestInstanceProviderOptions,
  GuestSpec,
  RunningGuest,
  StartGuest,
} from './instances/guest-instance-provider.js';
export { ProviderByManifest } from './instances/provider-by-manifest.js';
export type { ProvidersByKind } from './instances/provider-by-manifest.js';
export { ProcessInstanceProvider } from './instances/process-instance-provider.js';
export type { ProcessInstanceProviderOptions } from './instances/process-instance-provider.js';
export { frontEndUser, FrontEnd } from './front-end.js';
export type { FrontEndOptions } from './front-end.js';
export type { Address } from './doors/http-server.js';
export { deploymentOf, parseDeploymentRequest } from './functions/deployment-request.js';
export type { DeploymentRequest } from './functions/deployment-request.js';
export { DeploymentStore } from './functions/deployment-store.js';
export { SecretStore } from './secrets/secret-store.js';
export { checkSignature, readSignature } from './doors/lambda/signature-v4.js';
export type { Credentials, SignedRequest } from './doors/lambda/signature-v4.js';
export { ThreadInstanceProvider } from './instances/thread-instance-provider.js';
export type { ThreadInstanceProviderOptions } from './instances/thread-instance-provider.js';
export type {
  PoolDevice,
  PoolModel,
  PoolMove,
  PoolSample,
  PoolServer,
  PoolServerDevice,
  PoolTenant,
  SamplePool,
} from './doors/ui/pool-sample.js';
