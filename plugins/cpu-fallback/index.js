import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LIBRARY = fileURLToPath(new URL('build/libaxle_cpu_fallback.so', import.meta.url));

/**
 * onnxruntime-node carries the C library that the plugin opens; its JavaScript is not used.
 *
 * @returns {string | undefined}
 */
function findOnnxRuntime() {
  const require = createRequire(import.meta.url);
  let packageFile;
  try {
    packageFile = require.resolve('onnxruntime-node/package.json');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
  const { platform, arch } = process;
  const library = join(
    dirname(packageFile),
    'bin/napi-v6',
    platform,
    arch,
    platform === 'darwin' ? 'libonnxruntime.dylib' : 'libonnxruntime.so.1',
  );
  return existsSync(library) ? library : undefined;
}

const onnxruntime = findOnnxRuntime();

export const plugin = Object.freeze({
  name: 'cpu-fallback',
  path: LIBRARY,
  options: Object.freeze(onnxruntime === undefined ? {} : { onnxruntime }),
});
