import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { AxleError, messageOf } from './errors.js';
import type { NativeBinding } from './native-binding.js';

const addonPath = fileURLToPath(new URL('../native/build/Release/axle_host.node', import.meta.url));

/**
 * The addon, loaded once in each Node environment. `AXLE_NATIVE_ADDON` names another build of it, such as one with
 * sanitizers.
 *
 * @throws AxleError FAILED_PRECONDITION when it is not built or does not load, with what to do.
 */
export function loadNativeBinding(): NativeBinding {
  const path = process.env['AXLE_NATIVE_ADDON'] ?? addonPath;
  if (!existsSync(path)) {
    throw new AxleError('FAILED_PRECONDITION', `${path} is not built; run npm run setup`);
  }
  try {
    return createRequire(import.meta.url)(path) as NativeBinding;
  } catch (error) {
    throw new AxleError(
      'FAILED_PRECONDITION',
      `${path} does not load (${messageOf(error)}); build it for this machine with npm run setup -- --fresh`,
      { cause: error },
    );
  }
}
