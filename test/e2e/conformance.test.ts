import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { connect, shippedModels } from 'axle';
import { checkPlugin, pluginRules, type RuleResult } from 'axle/plugin-check';
import { describe, expect, it } from 'vitest';

import {
  builtPlugin,
  cpuPlugin,
  emulatedCuda,
  emulatedCudaDevice,
  emulatedFpga,
  noEmulatedFpga,
  pluginsFolder,
  wrappedCpuPlugin,
  type BuiltPlugin,
} from './plugins.js';

const timeoutMs = 30_000;
/** Devices of these plugins can be opened by several processes. */
const jobs = 2;
const ruleIds = pluginRules.map(({ id }) => id);

interface Conforming {
  readonly plugin: BuiltPlugin;
  /** Devices as a client sees them. */
  readonly devices: readonly string[];
  /** Rules that do not apply to it. All others must pass: a plugin that stops offering something fails here. */
  readonly skips: readonly string[];
  /** Why it cannot be opened here. */
  readonly absent?: string | undefined;
  /** Of one rule; default 30 s. */
  readonly timeoutMs?: number;
}

const idsOf = (...prefixes: readonly string[]) =>
  ruleIds.filter((id) => prefixes.some((prefix) => id.startsWith(prefix)));

const noModels = idsOf('model-', 'range', 'oracle-', 'given-');
const models = ['glyphs', 'mlp'].map((name) => join(shippedModels, name));

/** By folder of `plugins/`. */
const conforming: Readonly<Record<string, Conforming>> = {
  'cpu-fallback': {
    plugin: cpuPlugin,
    devices: ['cpu-fallback:0'],
    skips: ['large', 'changing-inputs', 'arguments', 'odd-values'],
  },
  template: {
    plugin: builtPlugin('template'),
    devices: ['template:0'],
    skips: ['changing-inputs', 'arguments', ...idsOf('batch', 'stream'), ...noModels],
  },
  echo: {
    plugin: builtPlugin('echo'),
    devices: ['echo:0'],
    skips: ['arguments', ...idsOf('stream'), ...noModels],
  },
  cuda: {
    plugin: emulatedCuda,
    devices: [emulatedCudaDevice],
    skips: ['changing-inputs', 'large', 'arguments', 'odd-values', ...idsOf('stream')],
    // Emulated kernels take a thousand times as long, and 'leaks' runs twenty thousand tasks.
    timeoutMs: 240_000,
  },
  'fpga-xrt': {
    plugin: emulatedFpga,
    devices: ['fpga-xrt:0'],
    skips: [
      ...['changing-inputs', 'large', 'arguments', 'odd-values', ...idsOf('batch', 'stream')],
      ...noModels.filter((id) => id !== 'oracle-compress'),
    ],
    absent: noEmulatedFpga,
    // Each byte is simulated clock by clock.
    timeoutMs: 240_000,
  },
  fault: {
    plugin: builtPlugin('fault'),
    devices: ['fault:0'],
    skips: ['changing-inputs', 'arguments', 'stream-damage', ...noModels],
  },
};

/** Rules that submit nothing, or only to learn that it is refused. */
const withoutTasks = [
  'loads',
  'unknown-option',
  'reopens',
  'opening-leaks',
  'health',
  'refusals',
  'queues',
  'queue-leaks',
  'model-info',
  'model-format',
  'model-leaks',
];

function wrongVerdicts(results: readonly RuleResult[], skips: readonly string[]): string[] {
  return results
    .filter(({ rule, verdict }) => verdict !== (skips.includes(rule) ? 'skip' : 'pass'))
    .map(({ rule, verdict, reason }) => `${verdict} ${rule}: ${reason}`);
}

/** Each rule ran its tasks on all devices of the plugin, and only those that compare on the oracle's too. */
function expectDevices(results: readonly RuleResult[], devices: readonly string[]): void {
  for (const { rule, verdict, tasks } of results) {
    const ran = verdict === 'pass' && !withoutTasks.includes(rule) ? devices : [];
    const compares = rule.startsWith('oracle-') || /^given-model-(batch|oracle)$/.test(rule);
    const oracle = verdict === 'pass' && compares ? ['cpu-fallback:0'] : [];
    expect(new Set(Object.keys(tasks)), rule).toEqual(new Set([...ran, ...oracle]));
  }
}

describe('every plugin of this checkout', () => {
  it('is in the list, and is built', () => {
    const folders = readdirSync(pluginsFolder).filter((name) =>
      existsSync(join(pluginsFolder, name, 'CMakeLists.txt')),
    );
    const hint = `a folder of plugins/ that is not in 'conforming' of this file, or the other way round: list it there`;
    expect(new Set(Object.keys(conforming)), hint).toEqual(new Set(folders));
    for (const { plugin } of Object.values(conforming)) {
      expect(existsSync(plugin.path), `${plugin.path} is built`).toBe(true);
    }
  });

  it('keeps the rules inside the fault plugin too', async () => {
    const { path, options } = wrappedCpuPlugin('none');
    // Those that are shown to find what it spoils in there; the others know no more of it than of any plugin.
    const rules = idsOf('loads', 'runs', 'stream-damage', 'model-', 'range', 'oracle-', 'given-');
    const checked = { options, oracle: cpuPlugin, models, rules, timeoutMs, jobs };
    const results = await checkPlugin(path, checked);
    expect(wrongVerdicts(results, [])).toEqual([]);
    expectDevices(results, ['fault:0']);
  }, 300_000);

  it.for(Object.entries(conforming))(
    '%s keeps the rules, on its own devices',
    { timeout: 600_000 },
    async ([, { plugin, devices, skips, absent, timeoutMs: ruleMs = timeoutMs }], { skip }) => {
      if (absent !== undefined) skip(absent);
      const { path, options } = plugin;
      const results = await checkPlugin(path, {
        options,
        oracle: cpuPlugin,
        models,
        timeoutMs: ruleMs,
        jobs,
      });
      expect(results.map(({ rule }) => rule)).toEqual(ruleIds);
      expect(wrongVerdicts(results, skips)).toEqual([]);
      expectDevices(results, devices);
    },
  );
});

describe('a client that insists on a plugin', () => {
  it.each([
    ['template', 'example.axle/invert', [255, 254]],
    ['echo', 'echo.axle/echo', [0, 1]],
    ['fault', 'fault.axle/copy', [0, 1]],
  ])('is served by the device of %s', async (name, op, wanted) => {
    const plugins = [{ name, ...builtPlugin(name) }];
    await using client = await connect({ plugins });
    const bytes = Uint8Array.of(0, 1);
    const { device, outputs } = await client.run(op, { bytes }, { device: name, strict: true });
    expect(device).toBe(`${name}:0`);
    expect(outputs['bytes']?.data).toEqual(Uint8Array.from(wanted));
  });

  it('is served by the CPU plugin inside the fault plugin, not by the CPU plugin', async () => {
    const plugins = [{ name: 'fault', ...wrappedCpuPlugin('none') }];
    await using client = await connect({ plugins });
    const input = Buffer.alloc(1000, 'again and ');
    const on = { device: 'fault', strict: true } as const;
    const packed = await client.compress(input, { codec: 'gzip', ...on });
    const unpacked = await client.decompress(packed.data, on);
    expect(unpacked.data.equals(input)).toBe(true);
    expect([packed.device, unpacked.device]).toEqual(['fault:0', 'fault:0']);
  });
});

/**
 * The addon's test plugin breaks rules on purpose: it takes any option, describes not all of its outputs, and its models
 * are of a format of its own. What it does not break, it keeps.
 */
describe("the addon's test plugin", () => {
  it('keeps the rules of opening, batches and streams', async () => {
    const built = '../../core/native/build/Release/axle_test_plugin.so';
    const path = fileURLToPath(new URL(built, import.meta.url));
    const rules = ['loads', 'reopens', 'health', 'refusals', 'queues', ...idsOf('stream')];
    const results = await checkPlugin(path, { rules, timeoutMs });
    expect(wrongVerdicts(results, ['stream-damage'])).toEqual([]);
    const ran = results.find(({ rule }) => rule === 'stream')?.tasks ?? {};
    expect(Object.keys(ran)).toEqual(['test:test:0', 'test:test:1']);
  });
});
