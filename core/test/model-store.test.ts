import { describe, expect, it } from 'vitest';

import type { Device } from '../src/backend.js';
import { AxleError } from '../src/errors.js';
import { defaultLimits, type Limits } from '../src/limits.js';
import { modelMemoryShare } from '../src/models/device-models.js';
import { backOffMs, backOffMsMax, modelFailureMs } from '../src/models/load-failures.js';
import type { Model } from '../src/models/model.js';
import { ModelStore } from '../src/models/model-store.js';
import { singleOp } from '../src/op.js';
import { DeviceQueue } from '../src/scheduling/device-queue.js';
import { TestBackend } from './test-backend.js';

function modelOf(name: string, bytes = 0, overrides: Partial<Model> = {}): Model {
  const files = [{ name: 'model.onnx', data: new Uint8Array(bytes) }];
  return {
    name,
    source: { name, format: 'onnx', contentId: name, files },
    warmUps: [],
    maxBatchSize: 0,
    ...overrides,
  } as unknown as Model;
}

function storeOver(backend: TestBackend, changes: Partial<Limits> = {}) {
  const limits = { ...defaultLimits, ...changes };
  const time = { now: 0 };
  const clock = () => time.now;
  const [device] = backend.devices as [Device];
  const queue = new DeviceQueue(backend, device, limits, clock);
  const store = new ModelStore({ limits, clock, queueOf: () => queue, onFailure: () => undefined });
  const load = (model: Model) => store.load(backend, device, model);
  return {
    store,
    device,
    time,
    load,
    refusal: (model: Model) => store.refusal(device, model),
    prefetch: (model: Model) => store.prefetch(backend, device, model, 'a'),
    /** Loads models that nobody uses afterwards. */
    place: async (...models: Model[]) => {
      for (const model of models) (await load(model)).unpin();
    },
  };
}

function gpu(memoryBytes = 0): TestBackend {
  return new TestBackend(
    'gpu',
    [singleOp('infer')],
    (batch) => batch.map(() => []),
    1,
    memoryBytes,
  );
}

const full = new AxleError('RESOURCE_EXHAUSTED', 'out of memory');

describe('a model that does not load', () => {
  it.each(['INVALID_ARGUMENT', 'UNIMPLEMENTED', 'NOT_FOUND'] as const)(
    'is refused with the same %s for a while',
    async (code) => {
      const backend = gpu();
      const { load, refusal, time } = storeOver(backend);
      const bad = modelOf('bad');
      backend.loadFailure = new AxleError(code, 'damaged');
      expect(refusal(bad)).toBeUndefined();
      await expect(load(bad)).rejects.toBe(backend.loadFailure);
      time.now = modelFailureMs - 1;
      const error = refusal(bad);
      expect(error).toMatchObject({ code, retryable: false, cause: backend.loadFailure });
      expect(error?.message).toBe(
        "damaged (model 'bad' failed to load on gpu:0 60.0 s ago; calls try it again in 0.0 s, prefetch at once)",
      );
      expect(refusal(modelOf('other'))).toBeUndefined();
      time.now = modelFailureMs;
      expect(refusal(bad)).toBeUndefined();
    },
  );

  it('is tried again at once by prefetch', async () => {
    const backend = gpu();
    const { prefetch, refusal, load, store, device } = storeOver(backend);
    const bad = modelOf('bad');
    backend.loadFailure = new AxleError('INVALID_ARGUMENT', 'damaged');
    await expect(load(bad)).rejects.toThrow('damaged');
    await expect(prefetch(bad)).rejects.toThrow(/^damaged$/);
    expect(refusal(bad)).toBeDefined();
    backend.loadFailure = undefined;
    await prefetch(bad);
    expect(backend.loads).toBe(3);
    expect(refusal(bad)).toBeUndefined();
    expect(store.has(device, bad)).toBe(true);
  });

  it.each(['UNAVAILABLE', 'INTERNAL', 'RESOURCE_EXHAUSTED', 'UNKNOWN'] as const)(
    'for %s of the device is tried again after longer and longer times',
    async (code) => {
      const backend = gpu();
      const { load, refusal, time } = storeOver(backend);
      const model = modelOf('m');
      const waits: number[] = [];
      backend.loadFailure = new AxleError(code, 'not now');
      for (let i = 0; i < 9; i++) {
        await expect(load(model)).rejects.toThrow('not now');
        const { now } = time;
        while (refusal(model) !== undefined) time.now += backOffMs;
        waits.push(time.now - now);
      }
      expect(waits.slice(0, 4)).toEqual([1, 2, 4, 8].map((times) => times * backOffMs));
      expect(waits.at(-1)).toBe(backOffMsMax);
      backend.loadFailure = undefined;
      (await load(model)).unpin();
      backend.loadFailure = new AxleError('INTERNAL', 'not now');
      const other = modelOf('other');
      await expect(load(other)).rejects.toThrow('not now');
      time.now += backOffMs;
      expect(refusal(other)).toBeUndefined();
    },
  );

  it('for its warm-up says nothing of the same bytes without one', async () => {
    const backend = gpu();
    const { load, refusal } = storeOver(backend);
    const inputs = [{ name: 'x', dtype: 'FP32', shape: [2 ** 40], data: 'zero' }] as const;
    const warm = modelOf('m', 0, { warmUps: [{ name: 'w', batchSize: 0, runs: 1, inputs }] });
    await expect(load(warm)).rejects.toThrow(/limit/);
    expect(backend.loaded).toEqual([]);
    expect(refusal(warm)).toBeDefined();
    expect(refusal(modelOf('m'))).toBeUndefined();
  });
});

describe('room for models on a device', () => {
  it('is made by unloading the one that was used longest ago, of those that cost the same', async () => {
    const backend = gpu();
    const { store, device, place, load } = storeOver(backend, { deviceModelsMax: 3 });
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => modelOf(name)) as [
      Model,
      Model,
      Model,
      Model,
    ];
    await place(a, b, c);
    store.pin(device, a)?.unpin();
    await place(d);
    expect(backend.loaded).toEqual(['a', 'c', 'd']);
    expect(store.pin(device, b)).toBeUndefined();
    // What was unloaded is loaded again.
    expect((await load(b)).loaded?.source.name).toBe('b');
    expect(backend.loaded).toEqual(['a', 'd', 'b']);
    await store.close();
    expect(backend.loaded).toEqual([]);
  });

  it('is made by unloading what costs least to load again, for its size and uses, and not what is idle longest', async () => {
    const backend = gpu();
    const { store, device, place, time } = storeOver(backend, { deviceModelBytesMax: 1000 });
    const loadMs: Record<string, number> = { slow: 4000, quick: 40, large: 400 };
    const { loadModel } = backend;
    backend.loadModel = (its, source) => {
      time.now += loadMs[source.name] ?? 60;
      return loadModel.call(backend, its, source);
    };
    await place(modelOf('slow', 300), modelOf('large', 600), modelOf('quick', 50));
    // The slow one is idle longest; of the others, the large one takes more room than it saves time.
    const use = (name: string, times: number) => {
      for (let i = 0; i < times; i++) store.pin(device, modelOf(name))?.unpin();
    };
    await place(modelOf('next', 500));
    expect(backend.loaded).toEqual(['slow', 'quick', 'next']);
    use('quick', 10);
    await place(modelOf('third', 400));
    expect(backend.loaded).toEqual(['slow', 'quick', 'third']);
    // What is not used any more goes in the end, whatever it cost.
    for (let i = 0; backend.loaded.includes('slow'); i++) {
      expect(i).toBeLessThan(1000);
      await place(modelOf(`new ${i}`, 650));
      use(`new ${i}`, 3);
    }
  });

  it('is what the device has for models, where it says so', async () => {
    const backend = gpu(1000);
    const budget = 1000 * modelMemoryShare;
    const { place } = storeOver(backend, { deviceModelBytesMax: 1 });
    await place(modelOf('a', budget / 2), modelOf('b', budget / 2));
    expect(backend.loaded).toEqual(['a', 'b']);
    await place(modelOf('c', 1));
    expect(backend.loaded).toEqual(['b', 'c']);
  });

  it('is the limit where the device does not, by what loaded models say they take', async () => {
    const backend = gpu();
    const { place } = storeOver(backend, { deviceModelBytesMax: 100 });
    backend.modelBytes = 60;
    await place(modelOf('a', 1), modelOf('b', 1));
    backend.modelBytes = 0;
    expect(backend.loaded).toEqual(['a', 'b']);
    await place(modelOf('c', 39));
    expect(backend.loaded).toEqual(['b', 'c']);
  });

  it('is all of it for a model that is larger alone', async () => {
    const backend = gpu();
    const { place } = storeOver(backend, { deviceModelBytesMax: 100 });
    await place(modelOf('a', 10), modelOf('b', 10), modelOf('huge', 1000));
    expect(backend.loaded).toEqual(['huge']);
    await place(modelOf('a', 10));
    expect(backend.loaded).toEqual(['a']);
  });

  it('is refused while all is in use, and nothing goes for what does not fit after all', async () => {
    const backend = gpu();
    const { load, place, refusal } = storeOver(backend, { deviceModelBytesMax: 100 });
    await place(modelOf('idle', 30));
    const used = await load(modelOf('used', 60));
    const next = modelOf('next', 50);
    await expect(load(next)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryable: true,
      message:
        "no room for model 'next' on gpu:0: calls use all that is loaded there (1), and it has 50 bytes, they 60, and 100 are the most; " +
        'try again when some of these calls are done, or raise the limit deviceModelBytesMax',
    });
    expect(backend.loaded).toEqual(['idle', 'used']);
    // It may be there in a moment.
    expect(refusal(next)).toBeUndefined();
    used.unpin();
    (await load(next)).unpin();
    // Of two that cost the same to load, the larger one makes more room.
    expect(backend.loaded).toEqual(['idle', 'next']);
  });

  it('counts models on their way there', async () => {
    const backend = gpu();
    const { load } = storeOver(backend, { deviceModelsMax: 1 });
    const first = load(modelOf('a'));
    await expect(load(modelOf('b'))).rejects.toThrow(/no room for model 'b'/);
    const again = load(modelOf('a'));
    expect(await again).toBe(await first);
    expect((await first).pins).toBe(2);
    expect(backend.loads).toBe(1);
  });

  it('is made for a device that is out of memory before the budget is', async () => {
    const backend = gpu();
    const { load, place, refusal } = storeOver(backend);
    await place(modelOf('a'), modelOf('b'));
    const used = await load(modelOf('used'));
    backend.loadFailures.push(full);
    (await load(modelOf('c'))).unpin();
    expect(backend.loaded).toEqual(['used', 'c']);
    // Once: what fails without the others, too, is not tried for ever.
    backend.loadFailures.push(full, full);
    await expect(load(modelOf('d'))).rejects.toBe(full);
    expect(refusal(modelOf('d'))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(backend.loaded).toEqual(['used']);
    const { loads } = backend;
    backend.loadFailures.push(full);
    await expect(load(modelOf('e'))).rejects.toBe(full);
    expect(backend.loads).toBe(loads + 1);
    used.unpin();
  });

  it('is not there when a model cannot be unloaded for it, and the others go all the same', async () => {
    const backend = gpu();
    const { place } = storeOver(backend, { deviceModelBytesMax: 100 });
    await place(modelOf('a', 50), modelOf('b', 50));
    const { unloadModel } = backend;
    backend.unloadModel = (model) =>
      model.source.name === 'a'
        ? Promise.reject(new AxleError('INTERNAL', 'stuck'))
        : unloadModel.call(backend, model);
    await expect(place(modelOf('c', 80))).rejects.toMatchObject({
      code: 'INTERNAL',
      message: "model 'a' could not be unloaded from gpu:0 to make room for 'c': stuck",
    });
    expect(backend.loaded).toEqual(['a']);
  });
});

describe('a model that is not wanted any more', () => {
  it('leaves its device when no call uses it, and not before', async () => {
    const backend = gpu();
    const { load, store, device } = storeOver(backend);
    const model = modelOf('old');
    const placed = await load(model);
    const unloading = store.unload(model);
    // Nobody finds it from now on.
    expect(store.has(device, model)).toBe(false);
    expect(backend.unloads).toBe(0);
    placed.unpin();
    await unloading;
    expect(backend.unloads).toBe(1);
    (await load(model)).unpin();
    expect(store.has(device, model)).toBe(true);
  });

  it('may be none that is loaded', async () => {
    const backend = gpu();
    await storeOver(backend).store.unload(modelOf('never'));
    expect(backend.unloads).toBe(0);
  });
});
