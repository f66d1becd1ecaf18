import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { AxleError, messageOf } from './errors.js';
import type { NativeBinding } from './native-binding.js';
import { CompletionReader } from './native-completions.js';

/** What the addon exports: {@link NativeBinding}, but for the form in which completions come. */
interface RawBinding extends Omit<NativeBinding, 'onCompletions'> {
  /** The arrays are the reader's: see `core/native/src/completions.h`. */
  onCompletions(
    receiver: (count: number, values: readonly unknown[]) => void,
    numbers: Float64Array,
    shapes: Float64Array,
    bytes: Uint8Array,
  ): void;
}

const addonPath = fileURLToPath(new URL('../native/build/Release/axle_host.node', import.meta.url));

let loaded: NativeBinding | undefined;

/** Where the addon is, or would be. `AXLE_NATIVE_ADDON` names another build of it, such as one with sanitizers. */
export function nativeAddonPath(): string {
  return process.env['AXLE_NATIVE_ADDON'] ?? addonPath;
}

/**
 * The addon, loaded once in each Node environment.
 *
 * @throws AxleError FAILED_PRECONDITION when it is not built or does not load, with what to do.
 */
export function loadNativeBinding(): NativeBinding {
  loaded ??= bind(loadAddon(nativeAddonPath()));
  return loaded;
}

function loadAddon(path: string): RawBinding {
  if (!existsSync(path)) {
    throw new AxleError('FAILED_PRECONDITION', `${path} is not built; run npm run setup`);
  }
  try {
    return createRequire(import.meta.url)(path) as RawBinding;
  } catch (error) {
    throw new AxleError(
      'FAILED_PRECONDITION',
      `${path} does not load (${messageOf(error)}); build it for this machine with npm run setup -- --fresh`,
      { cause: error },
    );
  }
}

function bind(raw: RawBinding): NativeBinding {
  return {
    ...raw,
    onCompletions(handler) {
      const reader = new CompletionReader();
      raw.onCompletions(
        (count, values) => handler(count, reader.numbers, reader.read(count, values)),
        reader.numbers,
        reader.shapes,
        reader.bytes,
      );
    },
  };
}
