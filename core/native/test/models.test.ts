import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ArgType, DataType, ErrorCode, OpId } from '../../src/generated/constants.js';
import type { NativeArg, NativeFile } from '../../src/native-binding.js';
import {
  binding,
  call,
  rejectionOf,
  stage,
  TEST_PLUGIN,
  TestOp,
  textOf,
  thrownBy,
} from './harness.js';

let pluginId = 0;
let queueId = 0;

beforeAll(async () => {
  ({ pluginId } = await binding.pluginOpen(TEST_PLUGIN, {}));
  queueId = binding.queueOpen(pluginId, 0);
});

afterAll(async () => {
  await binding.queueClose(queueId);
  await binding.pluginClose(pluginId);
});

const file = (name: string, text: string): NativeFile => ({ name, data: Buffer.from(text) });

function load(
  files: readonly NativeFile[],
  options: { format?: string; settings?: readonly NativeArg[]; device?: number } = {},
) {
  const { format = 'test', settings = [], device = 0 } = options;
  return binding.modelLoad(pluginId, device, 'a model', format, files, settings);
}

test('a model is loaded from its files, described, run and unloaded', async () => {
  const model = await load([file('model.onnx', 'abc'), file('weights/0.bin', 'defg')]);
  expect(model).toEqual({
    modelId: model.modelId,
    inputs: [{ name: 'x', dtype: DataType.FP32, dims: [-1, 2] }],
    outputs: [{ name: 'content', dtype: DataType.UINT8, dims: [-1] }],
    memoryBytes: 7,
  });
  const inputs = ['x', DataType.FP32, [1, 2], new Uint8Array(8)];
  const done = await call(queueId, OpId.infer, inputs, { modelId: model.modelId });
  expect(textOf(done)).toBe('abcdefg');
  expect(done.outputs[0]?.name).toBe('content');
  await binding.modelUnload(model.modelId);
  const again = thrownBy(() => stage(OpId.infer, inputs, { modelId: model.modelId }));
  expect(again.status).toBe(ErrorCode.INVALID_ARGUMENT);
});

test('many load at once, off the JS thread, and their bytes are kept', async () => {
  const settings: NativeArg[] = [['delay_ms', ArgType.INT, 1500]];
  let loaded = 0;
  const loads = Array.from({ length: 8 }, async (_, i) => {
    const model = await load([{ name: 'm', data: new Uint8Array(200_000).fill(65 + i) }], {
      settings,
    });
    loaded++;
    return model;
  });
  for (let i = 0; i < 100; i++) new Uint8Array(1 << 20).fill(1);
  expect((await call(queueId, TestOp.echo)).status).toBe(0);
  expect(loaded).toBe(0);
  const models = await Promise.all(loads);
  for (const [i, { modelId }] of models.entries()) {
    const content = textOf(await call(queueId, OpId.infer, [], { modelId }));
    expect(content).toBe(String.fromCharCode(65 + i).repeat(200_000));
    await binding.modelUnload(modelId);
  }
});

test('unload waits for the tasks of the model', async () => {
  const { modelId } = await load([file('m', 'still here')]);
  const argsId = binding.argsCreate([['delay_ms', ArgType.INT, 50]]);
  let done = false;
  const task = call(queueId, OpId.infer, [], { modelId, argsId });
  binding.argsFree(argsId);
  void task.then(() => (done = true));
  await binding.modelUnload(modelId);
  expect(done).toBe(true);
  expect(textOf(await task)).toBe('still here');
});

test('a staged task that is dropped lets the model go', async () => {
  const { modelId } = await load([file('m', 'x')]);
  stage(OpId.infer, [], { modelId });
  expect(thrownBy(() => binding.submit(999)).status).toBe(ErrorCode.INVALID_ARGUMENT);
  expect(
    thrownBy(() => stage(OpId.infer, [null, 2, [9], new Uint8Array(1)], { modelId })).status,
  ).toBe(3);
  await binding.modelUnload(modelId);
});

test('a model stays on its device', async () => {
  const { modelId } = await load([file('m', 'x')], { device: 1 });
  stage(OpId.infer, [], { modelId });
  expect(thrownBy(() => binding.submit(queueId)).message).toMatch(/another device/);
  await binding.modelUnload(modelId);
});

test('what the plugin says against a model is passed on', async () => {
  const error = await rejectionOf(load([file('m', 'x')], { format: 'gguf' }));
  expect(error).toMatchObject({
    status: ErrorCode.INVALID_ARGUMENT,
    message: "format 'gguf' is not known; use 'test'",
  });
});

test('a model described against the rules is unloaded again', async () => {
  const plugin = await binding.pluginOpen(TEST_PLUGIN, { break: 'model' });
  const loading = binding.modelLoad(plugin.pluginId, 0, 'm', 'test', [file('m', 'x')], []);
  const error = await rejectionOf(loading);
  expect(error.status).toBe(ErrorCode.INTERNAL);
  expect(error.message).toMatch(/model_info: output 0: name is empty/);
  // The test plugin aborts if a model is left.
  await binding.pluginClose(plugin.pluginId);
});

test('a plugin closed while a model loads is closed after it', async () => {
  const plugin = await binding.pluginOpen(TEST_PLUGIN, { another: 'one' });
  const settings: NativeArg[] = [['delay_ms', ArgType.INT, 50]];
  const loading = binding.modelLoad(plugin.pluginId, 0, 'm', 'test', [file('m', 'x')], settings);
  await binding.pluginClose(plugin.pluginId);
  const { modelId } = await loading;
  await binding.modelUnload(modelId);
  await sleep(1);
});

test.each<[string, readonly NativeFile[], RegExp]>([
  ['no file', [], /at least one file/],
  ['an absolute name', [file('/etc/passwd', '')], /empty component, or is absolute/],
  ['a name that leads out', [file('a/../../b', '')], /'.' or '..'/],
  ['a dot', [file('./a', '')], /'.' or '..'/],
  ['a backslash', [file('a\\b', '')], /backslash/],
  ['an empty name', [file('', '')], /is empty/],
  ['a folder', [file('a/', '')], /empty component/],
  ['a NUL', [file('a\0', '')], /NUL/],
  ['a long name', [file('a'.repeat(1024), '')], /at most 1023/],
  ['the same name twice', [file('a', ''), file('a', '')], /two files 'a'/],
  ['no bytes', [{ name: 'a', data: 'text' as never }], /must be a Uint8Array/],
  ['no object', [null as never], /must be a string|expected an object|Cannot convert/],
  ['too many', new Array<NativeFile>(4097).fill(file('a', '')), /at most 4096/],
])('%s is refused', async (_what, files, message) => {
  expect((await rejectionOf(load(files))).message).toMatch(message);
});

test('tasks of other ops may not have a model of another plugin', async () => {
  const other = await binding.pluginOpen(TEST_PLUGIN, { other: 'yes' });
  const loading = binding.modelLoad(other.pluginId, 0, 'm', 'test', [file('m', 'x')], []);
  const { modelId } = await loading;
  stage(TestOp.echo, [], { modelId });
  expect(thrownBy(() => binding.submit(queueId)).status).toBe(ErrorCode.INVALID_ARGUMENT);
  await binding.modelUnload(modelId);
  await binding.pluginClose(other.pluginId);
});
