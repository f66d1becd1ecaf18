export {
  bundleFilesMax,
  bundleBytesMax,
  bundleIdOf,
  readBundleFiles,
} from './bundles/bundle-files.js';
export type { BundleFile } from './bundles/bundle-files.js';
export { bundleLabel, isFunctionName, parseBundleReference } from './bundles/bundle-reference.js';
export type { BundleReference } from './bundles/bundle-reference.js';
export { BundleStore } from './bundles/bundle-store.js';
export type { Bundle, BundleStoreOptions, BundleTag } from './bundles/bundle-store.js';
export { manifestFile, parseFunctionManifest } from './bundles/function-manifest.js';
export type { FunctionManifest } from './bundles/function-manifest.js';
