import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { AxleError, messageOf } from './errors.js';
import type { CompletionHandler, NativeBinding, OutputMaker } from './native-binding.js';
import { CompletionArrays, CompletionReader, makeNativeOutput } from './native-completions.js';
import { TaskWriter } from './native-staging.js';

/** What the addon exports: {@link NativeBinding}, but for the form in which tasks go and completions come. */
interface RawBinding extends Omit<NativeBinding, 'onCompletions' | 'stage'> {
  /** {@link CompletionArrays}, and that of a {@link TaskWriter}. */
  connect(
    numbers: Float64Array,
    shapes: Float64Array,
    bytes: Uint8Array,
    staging: Float64Array,
  ): void;
  onCompletions(receiver: (count: number, values: readonly unknown[]) => void): void;
  /** Takes names and data from the list, and all numbers from `staging`, into whose first place it puts the id. */
  stage(inputs: readonly unknown[]): void;
  /** The same for one input. */
  stageOne(name: unknown, data: unknown): void;
  /** Where outputs of the last task that was staged may go. */
  stageInto(into: Uint8Array): void;
}

const addonPath = fileURLToPath(new URL('../native/build/Release/axle_host.node', import.meta.url));

let loaded: NativeBinding | undefined;

/** Where the addon is, or would be. `AXLE_NATIVE_ADDON` names another build of it, such as one with sanitizers. */
export function nativeAddonPath(): string {
  return process.env['AXLE_NATIVE_ADDON'] ?? addonPath;
}

/**
 * The addon, once for each Node environment (and copy of this module in it).
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
    // Not require: what it returns is shared by all copies of this module, and a binding has one user.
    const module = { exports: {} as RawBinding };
    process.dlopen(module, path);
    return module.exports;
  } catch (error) {
    throw new AxleError(
      'FAILED_PRECONDITION',
      `${path} does not load (${messageOf(error)}); build it for this machine with npm run setup -- --fresh`,
      { cause: error },
    );
  }
}

function bind(raw: RawBinding): NativeBinding {
  const arrays = new CompletionArrays();
  const writer = new TaskWriter();
  raw.connect(arrays.numbers, arrays.shapes, arrays.bytes, writer.numbers);
  return {
    ...raw,
    onCompletions<O>(
      handler: CompletionHandler<O>,
      make = makeNativeOutput as OutputMaker<unknown> as OutputMaker<O>,
    ) {
      const reader = new CompletionReader<O>(arrays, make);
      raw.onCompletions((count, values) => {
        handler(count, arrays.numbers, reader.read(count, values));
      });
    },
    stage(
      op,
      opVersion,
      first,
      last,
      modelId,
      argsId,
      inputs,
      outputBytesMax,
      deadlineMs,
      copiesInputs = false,
      into,
    ) {
      const count = writer.write(
        op,
        opVersion,
        first,
        last,
        modelId,
        argsId,
        inputs,
        outputBytesMax,
        deadlineMs,
        copiesInputs,
      );
      if (count === 1) raw.stageOne(inputs[0], inputs[3]);
      else raw.stage(inputs);
      const id = writer.numbers[0] as number;
      if (into !== undefined) raw.stageInto(into);
      return id;
    },
  };
}
