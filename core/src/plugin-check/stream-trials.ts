import { DataType } from '../generated/constants.js';
import { endsOn } from './host-connection.js';
import type { PluginUnderTest } from './plugin-under-test.js';
import { Attempts, type CheckedPlugin } from './rule.js';
import { isStreamable, type OpSample } from './samples/sample.js';
import { notTaken, refusedAll, withPlugin } from './trials.js';

/** A sample that goes into a stream on a device that takes it. */
export interface StreamTrial {
  readonly plugin: PluginUnderTest;
  readonly device: number;
  readonly sample: OpSample;
}

/**
 * Runs `work` with each sample of an op with streams, on each device that takes it.
 *
 * @throws RuleSkipped when nothing was tried.
 */
export async function withStreamSamples(
  subject: CheckedPlugin,
  work: (trial: StreamTrial) => Promise<void>,
  wanted: { readonly filter: (sample: OpSample) => boolean; readonly none: string } = {
    filter: () => true,
    none: 'none of its ops is STREAMABLE with bytes as its input',
  },
): Promise<void> {
  await withPlugin(subject, async (plugin) => {
    const attempts = new Attempts(wanted.none);
    await tryStreamSamples(plugin, work, wanted.filter, attempts);
    attempts.check();
  });
}

/** The same of a plugin that need not have any. */
export async function tryStreamSamples(
  plugin: PluginUnderTest,
  work: (trial: StreamTrial) => Promise<void>,
  filter: (sample: OpSample) => boolean = () => true,
  attempts?: Attempts,
): Promise<void> {
  const samples = plugin.samples().filter(fitsStream).filter(filter);
  for (const device of plugin.info.devices.keys()) {
    for (const sample of samples) {
      const { score, reason } = plugin.supports(device, sample.request, null);
      if (score === 0) {
        attempts?.add(notTaken(plugin, device, sample, reason));
        continue;
      }
      const before = endsOn(plugin.deviceName(device));
      await work({ plugin, device, sample });
      attempts?.add(refusedAll(sample, before, endsOn(plugin.deviceName(device))));
    }
  }
}

function fitsStream(sample: OpSample): boolean {
  const [input, ...others] = sample.request.inputs;
  const isBytes = input?.dtype === DataType.UINT8 && input.dims.length === 1;
  return isStreamable(sample) && isBytes && others.length === 0;
}

export function inputOf({ request }: OpSample): Uint8Array {
  const data = request.inputs[0]?.data ?? [];
  return data instanceof Uint8Array ? data : Buffer.concat(data);
}
