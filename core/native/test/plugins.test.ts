import { expect, test } from 'vitest';
import { ArgType, ErrorCode } from '../../src/generated/constants.js';
import { nativeAddonPath } from '../../src/native-loader.js';
import { binding, pluginPath, rejectionOf, TEST_PLUGIN, thrownBy, withArgs } from './harness.js';

const { abiMinor } = binding;
const lines: string[] = [];
binding.onLog((level, plugin, message) => lines.push(`${level} ${plugin} ${message}`));

test('a plugin is described as it describes itself', async () => {
  const plugin = await binding.pluginOpen(TEST_PLUGIN, {});
  expect(plugin).toMatchObject({
    name: 'test',
    version: '1.2.3',
    abiMajor: binding.abiMajor,
    abiMinor: binding.abiMinor,
    runsModels: true,
    runsStreams: true,
  });
  expect(plugin.devices).toEqual([
    { id: 'test:0', name: 'Test device', kind: 1, flags: 1, memoryBytes: 1 << 20, parallel: 4 },
    { id: 'test:1', name: 'Test device', kind: 1, flags: 1, memoryBytes: 1 << 20, parallel: 4 },
  ]);
  expect(plugin.ops[0]).toEqual({
    op: 65536,
    version: 1,
    name: 'test.axle/echo',
    doc: 'Gives its inputs back.',
    flags: 19,
    chainFirst: 0,
    chainLast: 0,
    batchMax: 0,
    args: [
      { name: 'delay_ms', doc: 'How long it takes.', type: ArgType.INT, required: false },
      { name: 'label', doc: 'Not used.', type: ArgType.STRING, required: true },
    ],
    inputs: [{ name: 'any', dtype: 2, dims: [-1] }],
    outputs: [{ name: 'any', dtype: 2, dims: [-1] }],
  });
  expect(plugin.ops.at(-1)).toMatchObject({ op: 5, name: '', chainFirst: 1, chainLast: 2 });
  await binding.pluginClose(plugin.pluginId);
});

test('the same file with the same options is one instance, which the last reference closes', async () => {
  lines.length = 0;
  const opens = [
    binding.pluginOpen(TEST_PLUGIN, { a: '1', b: '2' }),
    binding.pluginOpen(TEST_PLUGIN.replace('/axle_test', '/../Release/axle_test'), {
      b: '2',
      a: '1',
    }),
  ];
  const [first, second] = await Promise.all(opens);
  expect(lines.filter((line) => line === '2 test opened')).toHaveLength(1);
  const other = await binding.pluginOpen(TEST_PLUGIN, { a: '1', b: '3' });
  expect(lines.filter((line) => line === '2 test opened')).toHaveLength(2);

  await binding.pluginClose(first?.pluginId ?? 0);
  expect(lines).not.toContain('2 test closed');
  await binding.pluginClose(second?.pluginId ?? 0);
  await binding.pluginClose(other.pluginId);
  expect(lines.filter((line) => line === '2 test closed')).toHaveLength(2);
});

test('a plugin whose hardware is missing is UNAVAILABLE with its own reason', async () => {
  const error = await rejectionOf(
    binding.pluginOpen(TEST_PLUGIN, { unavailable: 'no card found' }),
  );
  expect(error).toMatchObject({ status: ErrorCode.UNAVAILABLE, message: 'no card found' });
  expect(error).toBeInstanceOf(Error);
});

test.each([
  [
    'axle_test_abi',
    ErrorCode.FAILED_PRECONDITION,
    new RegExp(`version 0\\.${abiMinor + 1} .*speaks 0\\.${abiMinor}`),
  ],
  ['axle_test_small_table', ErrorCode.FAILED_PRECONDITION, /table of 64 bytes, expected 192/],
  ['axle_test_no_submit', ErrorCode.FAILED_PRECONDITION, /required slot submit empty/],
  ['axle_test_half_models', ErrorCode.FAILED_PRECONDITION, /1 of the 3 slots for models/],
  [
    'axle_test_null_query',
    ErrorCode.FAILED_PRECONDITION,
    new RegExp(`does not speak version 0\\.${abiMinor}`),
  ],
  ['axle_test_bad_name', ErrorCode.FAILED_PRECONDITION, /a name that is not UTF-8/],
  ['axle_test_needs_absent', ErrorCode.UNAVAILABLE, /needs a library .*libaxle_test_absent/],
  ['no_such_plugin', ErrorCode.NOT_FOUND, /no plugin at/],
])('%s is refused', async (name, status, message) => {
  const error = await rejectionOf(binding.pluginOpen(pluginPath(name), {}));
  expect(error.message).toMatch(message);
  expect(error.status).toBe(status);
});

test('what is no plugin is refused', async () => {
  const addon = await rejectionOf(binding.pluginOpen(nativeAddonPath(), {}));
  expect(addon.status).toBe(ErrorCode.FAILED_PRECONDITION);
  expect(addon.message).toMatch(/does not export axle_plugin_query/);
  const text = await rejectionOf(binding.pluginOpen(import.meta.filename, {}));
  expect(text.status).toBe(ErrorCode.FAILED_PRECONDITION);
  const folder = await rejectionOf(binding.pluginOpen('/', {}));
  expect(folder).toMatchObject({ status: ErrorCode.FAILED_PRECONDITION });
});

test.each([
  ['no_device', /there are none/],
  ['many_devices', /257 of them/],
  ['twin_devices', /device 1: the id 'test:0' stands there twice/],
  ['device_id_null', /device 0: id is NULL/],
  ['device_id_utf8', /device 0: id is not UTF-8/],
  ['device_id_long', /device 0: id is longer than 127 bytes/],
  ['device_kind', /kind 77 is not known/],
  ['parallel', /parallel is 0/],
  ['many_ops', /1025 of them/],
  ['twin_ops', /op 1: the same op, version and range/],
  ['op_name', /'no-slash' is not of the form/],
  ['op_unknown', /op 999 is not known/],
  ['op_version', /version is 0/],
  ['op_chain', /chain_first is past chain_last/],
  ['op_spec', /the list of inputs is NULL/],
  ['op_spec_count', /more than 256 inputs/],
])('a description that breaks the rule %s is refused', async (rule, message) => {
  const faults = binding.counters().pluginFaults;
  const error = await rejectionOf(binding.pluginOpen(TEST_PLUGIN, { break: rule }));
  expect(error.status).toBe(ErrorCode.FAILED_PRECONDITION);
  expect(error.message).toMatch(/^plugin 'test' breaks a rule of the ABI: /);
  expect(error.message).toMatch(message);
  expect(binding.counters().pluginFaults).toBe(faults + 1);
});

test('a plugin without the optional slots has defaults', async () => {
  const plugin = await binding.pluginOpen(pluginPath('axle_test_minimal'), {});
  expect(plugin).toMatchObject({ runsModels: false, runsStreams: false });
  expect(await binding.health(plugin.pluginId, 0)).toEqual({ state: 1, message: '' });
  expect((await binding.statistics(plugin.pluginId, 0)).tasksCompleted).toBe(0);
  const load = await rejectionOf(binding.modelLoad(plugin.pluginId, 0, 'm', 'test', [], []));
  expect(load.status).toBe(ErrorCode.UNIMPLEMENTED);
  expect(thrownBy(() => binding.streamOpen(plugin.pluginId, 0, 4, 1, 0)).status).toBe(
    ErrorCode.UNIMPLEMENTED,
  );
  await binding.pluginClose(plugin.pluginId);
});

test('health, statistics and supports are the plugin’s', async () => {
  const { pluginId } = await binding.pluginOpen(TEST_PLUGIN, {});
  expect(await binding.health(pluginId, 0)).toEqual({ state: 1, message: '' });
  expect(await binding.health(pluginId, 1)).toEqual({ state: 2, message: 'only a test' });
  expect((await binding.statistics(pluginId, 1)).temperatureCelsius).toBe(41);
  expect(binding.supports(pluginId, 1, 65536, 1, 0, 0, 0, null)).toEqual({ score: 2, reason: '' });
  expect(binding.supports(pluginId, 1, 65536, 2, 0, 0, 0, null)).toEqual({
    score: 0,
    reason: "plugin 'test' has no such op",
  });
  const model = { name: 'm', format: 'test', files: [{ name: 'a', data: new Uint8Array(70) }] };
  expect(binding.supports(pluginId, 0, 3, 1, 0, 0, 0, model).score).toBe(70);
  withArgs([['refuse', ArgType.INT, 1]], (argsId) => {
    expect(binding.supports(pluginId, 0, 65536, 1, 0, 0, argsId, null).reason).toBe(
      'refused as asked',
    );
  });
  await binding.pluginClose(pluginId);
});

test('an unknown health state counts as a fault and as degraded', async () => {
  const { pluginId } = await binding.pluginOpen(TEST_PLUGIN, { break: 'health' });
  const faults = binding.counters().pluginFaults;
  expect((await binding.health(pluginId, 0)).state).toBe(2);
  expect(binding.counters().pluginFaults).toBe(faults + 1);
  await binding.pluginClose(pluginId);
});

test('wrong arguments and ids are INVALID_ARGUMENT, thrown or in a promise', async () => {
  const { pluginId } = await binding.pluginOpen(TEST_PLUGIN, {});
  const rejecting: (() => Promise<unknown>)[] = [
    () => binding.pluginOpen(7 as unknown as string, {}),
    () => binding.pluginOpen('a\0b', {}),
    () => binding.pluginOpen(TEST_PLUGIN, { a: 1 } as unknown as Record<string, string>),
    () => binding.pluginOpen(TEST_PLUGIN, null as unknown as Record<string, string>),
    () =>
      binding.pluginOpen(
        TEST_PLUGIN,
        Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ''])),
      ),
    () => binding.pluginClose(999),
    () => binding.pluginClose(-1),
    () => binding.pluginClose(0.5),
    () => binding.pluginClose(NaN),
    () => binding.health(pluginId, 2),
    () => binding.health(pluginId, 2 ** 32),
    () => binding.statistics(999, 0),
    () => binding.queueClose(999),
    () => binding.modelUnload(999),
    () => binding.streamClose(999),
  ];
  for (const action of rejecting) {
    const error = await rejectionOf(action());
    expect(error, action.toString()).toBeInstanceOf(Error);
    expect(error.status, action.toString()).toBe(ErrorCode.INVALID_ARGUMENT);
  }
  const throwing: (() => unknown)[] = [
    () => binding.queueOpen(pluginId, 2),
    () => binding.argsFree(999),
    () => binding.argsFree(Infinity),
    () => binding.streamWrite(999, null, true, 1, 0),
    () => binding.submit(999),
    () => binding.onLog('no' as never),
    () => binding.supports(pluginId, 0, -1, 1, 0, 0, 0, null),
    () => binding.supports(pluginId, 0, 1, 1, 0, 0, 999, null),
  ];
  for (const action of throwing) {
    const error = thrownBy(action);
    expect(error, action.toString()).toBeInstanceOf(Error);
    expect(error.status, action.toString()).toBe(ErrorCode.INVALID_ARGUMENT);
  }
  await binding.pluginClose(pluginId);
  expect((await rejectionOf(binding.pluginClose(pluginId))).status).toBe(
    ErrorCode.INVALID_ARGUMENT,
  );
});

test('arguments must be well formed', () => {
  const list = (...args: unknown[]) => args as never;
  for (const args of [
    list(['a', ArgType.INT]),
    list(['a', 99, 1]),
    list(['a', ArgType.INT, 1.5]),
    list(['a', ArgType.INT, 2 ** 53]),
    list(['a', ArgType.BOOL, 1]),
    list(['a', ArgType.FLOAT, 'x']),
    list(['a', ArgType.STRING, 1]),
    list(['a', ArgType.BYTES, 'x']),
    list(['', ArgType.INT, 1]),
    list(['x'.repeat(128), ArgType.INT, 1]),
    list(['a', ArgType.INT, 1], ['a', ArgType.INT, 2]),
    list(...Array.from({ length: 65 }, (_, i) => [`a${i}`, ArgType.INT, 1])),
    null as never,
  ]) {
    expect(thrownBy(() => binding.argsCreate(args)).status).toBe(ErrorCode.INVALID_ARGUMENT);
  }
});
