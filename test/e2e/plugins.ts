import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { plugin as cpuFallback } from '@axle/plugin-cpu-fallback';
import type { Client } from 'axle';

/** A plugin of this checkout, with the options that it is opened with. */
export interface BuiltPlugin {
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
}

export const pluginsFolder = fileURLToPath(new URL('../../plugins', import.meta.url));

/** What set-up makes of `plugins/NAME`. */
export function builtPlugin(
  name: string,
  options: Readonly<Record<string, string>> = {},
): BuiltPlugin {
  const library = `libaxle_${name.replaceAll('-', '_')}.so`;
  return { path: join(pluginsFolder, name, 'build', library), options };
}

export const cpuPlugin: BuiltPlugin = cpuFallback;

/** The CPU plugin inside the fault plugin, which spoils what it does as `fault` has it. */
export function wrappedCpuPlugin(fault: string): BuiltPlugin {
  const options: Record<string, string> = { fault, wrap: cpuPlugin.path };
  for (const [key, value] of Object.entries(cpuPlugin.options)) options[`wrap.${key}`] = value;
  return builtPlugin('fault', options);
}

/** The CUDA plugin on its emulated driver: no GPU takes part. Small enough that many open at once. */
export const emulatedCuda: BuiltPlugin = builtPlugin('cuda', {
  driver: join(pluginsFolder, 'cuda/build/emulated/libcuda.so.1'),
  slab_bytes: String(4 << 20),
  lanes: '2',
});

/** Its first device; the UUID is the emulated driver's. */
export const emulatedCudaDevice = 'cuda:GPU-656d756c-6174-6564-2d67-70752d303030';

const emulatedXrt = join(pluginsFolder, 'fpga-xrt/build/emulated');

/** The FPGA plugin on our own XRT, whose card is the Verilated kernels. */
export const emulatedFpga: BuiltPlugin = builtPlugin('fpga-xrt', {
  library: join(emulatedXrt, 'libxrt_coreutil.so.2'),
  xclbin: join(emulatedXrt, 'emulated.xclbin'),
});

/** Why the emulated card is not there, or nothing: it takes verilator to build it. */
export const noEmulatedFpga = existsSync(join(emulatedXrt, 'libxrt_coreutil.so.2'))
  ? undefined
  : 'no emulated FPGA: install verilator, remove plugins/fpga-xrt/build and run npm run setup';

/** What a client lists as unavailable, but for plugins of cards: whether those are there depends on the machine. */
export async function unavailableBesidesCards(client: Client): Promise<unknown[]> {
  const { unavailable } = await client.devices();
  return unavailable.filter(({ backend }) => !['cuda', 'fpga-xrt'].includes(backend));
}
