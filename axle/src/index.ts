import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';

import { AxleError, type Client, type ConnectOptions, type PluginSpec } from '@axle/core';
import { connectLocal, connectTo, registerScheme } from '@axle/core/internal';
import { plugin as cpuFallback } from '@axle/plugin-cpu-fallback';
import { plugin as cuda } from '@axle/plugin-cuda';
import { plugin as fpga } from '@axle/plugin-fpga-xrt';

import { traceWhereSdkIsRegistered } from './automatic-tracing.js';

export { traceWhereSdkIsRegistered };

export * from '@axle/core';

/** The models that the package ships: `glyphs`, a classifier of printed characters, and `mlp`. */
export const shippedModels: string = fileURLToPath(new URL('../models', import.meta.url));

/** The software plugin, which every client has; `checkPlugin` may take it as its oracle. */
export const cpuPlugin: PluginSpec = cpuFallback;

registerScheme('local', (_url, options) => connectLocal(withDefaults(options)));
for (const scheme of ['axle+unix', 'axle', 'axle+tls']) {
  // The models that come with Axle are on servers too.
  registerScheme(scheme, async (url, options) => {
    const { connectRemote } = await import('@axle/remoting/client');
    return connectRemote(url, { ...options, models: modelFoldersOf(options) });
  });
}

registerScheme('axle+pool', async (url, options) => {
  const { connectPool } = await import('@axle/remoting/client');
  return connectPool(url, { ...options, models: modelFoldersOf(options) });
});

/**
 * A client, and with it the devices: of this process by default, or of whatever `target` names.
 *
 * Models are looked up in `options.models`, else in the folders of `AXLE_MODELS` (separated as in PATH), and then in
 * `shippedModels`, or with a server in what it has. Where an OpenTelemetry SDK is registered by now, calls make spans (see `enableTracing` of
 * `axle/tracing`).
 *
 * @param target a URL; default `AXLE_ENDPOINT`, else `local:`.
 * @throws AxleError INVALID_ARGUMENT for a URL that is not understood, UNAVAILABLE when nothing answers there.
 */
export function connect(options?: ConnectOptions): Promise<Client>;
export function connect(target: string | URL, options?: ConnectOptions): Promise<Client>;
export async function connect(
  first: string | URL | ConnectOptions = {},
  second: ConnectOptions = {},
): Promise<Client> {
  const options: unknown = typeof first === 'string' || first instanceof URL ? second : first;
  if (typeof options !== 'object' || options === null) {
    const advice = 'give nothing, a URL, or an object of options';
    throw new AxleError('INVALID_ARGUMENT', `cannot connect with ${String(options)}; ${advice}`);
  }
  const named = typeof first === 'string' || first instanceof URL;
  const target = named ? first : process.env['AXLE_ENDPOINT'] || 'local:';
  await traceWhereSdkIsRegistered();
  return connectTo(target, named ? second : first);
}

function withDefaults(options: ConnectOptions): ConnectOptions {
  const plugins = [options.plugins ?? []].flat();
  // A caller that names one has options of its own for it. One that is no plugin is told so by core.
  const names = plugins.map((plugin: PluginSpec | null | undefined) => plugin?.name);
  const others = [cuda, fpga].filter(({ name }) => !names.includes(name));
  return {
    ...options,
    models: [...modelFoldersOf(options), shippedModels],
    plugins: [cpuFallback, ...others, ...plugins],
  };
}

/** The caller's own. */
function modelFoldersOf({ models }: ConnectOptions): string[] {
  const folders = models ?? process.env['AXLE_MODELS']?.split(delimiter) ?? [];
  return [folders].flat().filter((folder) => folder !== '');
}
