import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { plugin as cpuFallback } from '@axle/plugin-cpu-fallback';

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
