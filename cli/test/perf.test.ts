import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { DATA_TYPE_BYTES, type DataTypeName } from 'axle';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Interruption } from '../src/interruption.js';
import { closedLoop, constantGaps, openLoop } from '../src/load/index.js';
import { parseLevelRange, searchByHalves, searchUp } from '../src/perf/level-range.js';
import { measureLevel, type BeginLoad, type LevelSettings } from '../src/perf/measure-level.js';
import { latencyBy, warningsOf } from '../src/perf/measured-level.js';
import { makeInputs, type ModelDescription } from '../src/perf/model-inputs.js';
import { createProgram } from '../src/program.js';
import { temporaryFolder } from './run-cli.js';
import { VirtualClock } from './virtual-clock.js';

const settings: LevelSettings = {
  items: 1,
  intervalMs: 100,
  stabilityPercent: 10,
  trialsMax: 10,
  requestCount: undefined,
  latencyOf: latencyBy(undefined),
};

/** Callers who are answered after so long. */
function callers(clock: VirtualClock, concurrency: number, send: () => Promise<void>): BeginLoad {
  const answered = async () => {
    await send();
    return { queueMs: 1, transferMs: 2, computeMs: 3, batchSize: 2 };
  };
  return (observer, end) => closedLoop({ clock, concurrency, send: answered, observer, end });
}

function measure(
  clock: VirtualClock,
  load: BeginLoad,
  changed: Partial<LevelSettings> = {},
  signal = new AbortController().signal,
) {
  const surroundings = { clock, signal, onEnd: () => undefined };
  return measureLevel(load, { ...settings, ...changed }, surroundings);
}

describe('a level', () => {
  it('is measured until three in a row agree, and is what they have together', async () => {
    const clock = new VirtualClock();
    // Slow at first, as what is not compiled yet.
    const load = callers(clock, 2, () => clock.until(clock.now() + (clock.now() < 150 ? 50 : 10)));
    const level = measure(clock, load);
    await clock.advanceTo(2000);
    const { tally, trials, stable, unanswered } = await level;
    expect({ trials, stable, unanswered }).toEqual({ trials: 5, stable: true, unanswered: 0 });
    expect(tally.durationMs).toBe(300);
    expect(tally.requestsPerSecond).toBeCloseTo(200, 5);
    expect(tally.latency.percentile(99)).toBeCloseTo(10, 1);
    expect(tally.server).toMatchObject({ requests: 60, executions: 30, inferMs: 180 });
  });

  it('that never settles says so', async () => {
    const clock = new VirtualClock();
    let turn = 0;
    const load = callers(clock, 1, () => clock.until(clock.now() + (turn++ % 2 === 0 ? 150 : 5)));
    const level = measure(clock, load, { trialsMax: 4 });
    await clock.advanceTo(2000);
    expect(await level).toMatchObject({ trials: 4, stable: false });
  });

  it('is given up where the server goes away, with what was measured before', async () => {
    const clock = new VirtualClock();
    const load = callers(clock, 1, async () => {
      await clock.until(clock.now() + 10);
      if (clock.now() > 150) throw new Error('it is gone');
    });
    const surroundings = {
      clock,
      signal: new AbortController().signal,
      onEnd: () => undefined,
      serverSums: () => Promise.reject(new Error('nobody is there')),
    };
    const level = measureLevel(load, settings, surroundings);
    await clock.advanceTo(2000);
    const { tally, ...rest } = await level;
    expect(rest).toMatchObject({ failing: true, stable: false, trials: 3 });
    expect(tally.succeeded).toBe(15);
  });

  it('ends when nothing but failures comes, and counts them by code', async () => {
    const clock = new VirtualClock();
    const load = callers(clock, 1, async () => {
      await clock.until(clock.now() + 10);
      throw Object.assign(new Error('it is busy'), { code: 'RESOURCE_EXHAUSTED' });
    });
    const level = measure(clock, load);
    await clock.advanceTo(1000);
    const { tally, trials } = await level;
    expect(trials).toBe(1);
    expect([...tally.failures.values()]).toEqual([
      { code: 'RESOURCE_EXHAUSTED', count: tally.failed, message: 'it is busy' },
    ]);
    expect(tally.failed).toBeGreaterThan(5);
  });

  it('waits so long for answers, and tells how many never came', async () => {
    const clock = new VirtualClock();
    const level = measure(
      clock,
      callers(clock, 3, () => new Promise(() => undefined)),
      { trialsMax: 1 },
    );
    await clock.advanceTo(60_000);
    expect(await level).toMatchObject({ unanswered: 3 });
  });

  it('of counted requests measures these, and no more', async () => {
    const clock = new VirtualClock();
    const load = callers(clock, 4, () => clock.until(clock.now() + 20));
    const level = measure(clock, load, { requestCount: 10 });
    await clock.advanceTo(1000);
    const { tally, stable } = await level;
    expect(stable).toBeUndefined();
    expect(tally.succeeded).toBe(10);
    expect(tally.durationMs).toBe(60);
  });

  it('that is interrupted is what was measured so far', async () => {
    const clock = new VirtualClock();
    const stop = new AbortController();
    const load = callers(clock, 1, () => clock.until(clock.now() + 10));
    const level = measure(clock, load, { intervalMs: 5000 }, stop.signal);
    await clock.advanceTo(95);
    stop.abort();
    const { tally } = await level;
    expect(tally.succeeded).toBe(9);
    expect(tally.durationMs).toBe(95);
  });

  it('whose generator was late says so', async () => {
    const late = new VirtualClock(50);
    const load: BeginLoad = (observer, end) =>
      openLoop({
        clock: late,
        gaps: constantGaps(100),
        outstandingMax: 1,
        send: () => Promise.resolve(undefined),
        observer,
        end,
      });
    const level = measure(late, load, { requestCount: 20 });
    await late.advanceTo(1000);
    const measured = {
      by: 'rate',
      load: 100,
      withinThreshold: undefined,
      interrupted: false,
    } as const;
    // From when each was due.
    expect((await level).tally.latency.max).toBeCloseTo(50, 0);
    const warnings = warningsOf({ ...measured, ...(await level) }).join('\n');
    expect(warnings).toMatch(/did not keep up; 1 % of requests were sent more than 50\.\d ms late/);
    // One was outstanding when the others of the same turn were due.
    expect(warnings).toMatch(/\d+ requests were not sent/);
  });
});

describe('a search', () => {
  const rule = { option: '--concurrency-range', min: 1, max: 1000, isWhole: true };

  it.each([
    ['4', [4]],
    ['1:4', [1, 2, 3, 4]],
    ['1:10:4', [1, 5, 9]],
  ])('over %s has levels %j', async (text, levels) => {
    const seen: number[] = [];
    await searchUp(parseLevelRange(text, rule), rule.max, (level) => {
      seen.push(level);
      return Promise.resolve('met');
    });
    expect(seen).toEqual(levels);
  });

  it('without an end goes on until a level is missed, or there are no more', async () => {
    for (const [limit, last] of [
      [7, 8],
      [5000, 1000],
    ] as const) {
      let seen = 0;
      await searchUp(parseLevelRange('1:0', rule), rule.max, (level) => {
        seen = level;
        return Promise.resolve(level <= limit ? 'met' : 'missed');
      });
      expect(seen).toBe(last);
    }
  });

  it('has steps that are no binary numbers', async () => {
    const seen: number[] = [];
    const rates = { option: '--request-rate-range', min: 0.001, max: 10, isWhole: false };
    await searchUp(parseLevelRange('0.1:0.3:0.1', rates), 10, (level) => {
      seen.push(level);
      return Promise.resolve('met');
    });
    expect(seen).toHaveLength(3);
  });

  it('by halves finds the largest level that is met', async () => {
    const numbers = fc.integer({ min: 1, max: 300 });
    await fc.assert(
      fc.asyncProperty(numbers, numbers, numbers, numbers, async (start, span, step, limit) => {
        const range = { start, end: start + span, step };
        const met: number[] = [];
        let count = 0;
        await searchByHalves(range, (level) => {
          count += 1;
          if (level <= limit) met.push(level);
          return Promise.resolve(level <= limit ? 'met' : 'missed');
        });
        const all = Array.from({ length: Math.floor(span / step) + 1 }, (_, n) => start + n * step);
        expect(Math.max(...met)).toBe(Math.max(...all.filter((level) => level <= limit)));
        expect(count).toBeLessThanOrEqual(2 + Math.ceil(Math.log2(all.length)));
      }),
      { numRuns: 200 },
    );
  });
});

const everyType = [...Object.keys(DATA_TYPE_BYTES)] as DataTypeName[];
const model: ModelDescription = {
  name: 'm',
  maxBatchSize: 8,
  inputs: everyType.map((dtype) => ({ name: dtype.toLowerCase(), dtype, shape: [-1, 3, 2] })),
};
const inputs = { batchSize: 4, shapes: new Map(), data: 'random', stringLength: 5, seed: 7 };

describe('inputs', () => {
  it('are made of every type, with the batch, and the same for a seed', async () => {
    const [made] = await makeInputs(model, inputs);
    for (const [name, tensor] of Object.entries(made ?? {})) {
      expect(tensor.shape, name).toEqual([4, 3, 2]);
      expect(
        tensor.bytes.some((byte) => byte !== 0),
        name,
      ).toBe(true);
    }
    expect(made?.['fp16']?.data).toSatisfy((bits: Uint16Array) =>
      bits.every((each) => each <= 0x3c00),
    );
    expect(made?.['bytes']?.data[23]).toMatch(/^[a-z]{5}$/);
    expect(await makeInputs(model, inputs)).toEqual([made]);
    expect(await makeInputs(model, { ...inputs, seed: 8 })).not.toEqual([made]);
    const [zero] = await makeInputs(model, { ...inputs, data: 'zero' });
    expect(Object.values(zero ?? {}).every(({ bytes }) => bytes.every((byte) => byte === 0))).toBe(
      true,
    );
  });

  it('come from a file, item by item', async () => {
    const file = join(temporaryFolder(), 'data.json');
    const raw = Buffer.from(Float32Array.of(5, 6).buffer).toString('base64');
    const data = [{ x: [1, 2] }, { x: { content: [[3], [4]] } }, { x: { b64: raw } }];
    writeFileSync(file, JSON.stringify({ data }));
    const two: ModelDescription = {
      name: 'two',
      maxBatchSize: 8,
      inputs: [{ name: 'x', dtype: 'FP32', shape: [-1, 2] }],
    };
    const values = async (batchSize: number) =>
      (await makeInputs(two, { ...inputs, data: file, batchSize })).map(({ x }) => [
        x?.shape,
        ...((x?.data ?? []) as Float32Array),
      ]);
    expect(await values(1)).toEqual([
      [[1, 2], 1, 2],
      [[1, 2], 3, 4],
      [[1, 2], 5, 6],
    ]);
    expect(await values(2)).toEqual([[[2, 2], 1, 2, 3, 4]]);
    expect(await values(4)).toEqual([[[4, 2], 1, 2, 3, 4, 5, 6, 1, 2]]);
    await expect(values(2 ** 28)).rejects.toThrow(/all requests would have \d+ bytes/);
    for (const [text, message] of [
      ['{', /is no JSON/],
      ['{"data": []}', /it is \{"data"/],
      ['{"data": [{"y": [1, 2]}]}', /data\[0\] has no input x/],
      ['{"data": [{"x": [1, 2, 3]}]}', /data\[0\]\.x: .*2 elements|data\[0\]\.x: /],
    ] as const) {
      writeFileSync(file, text);
      await expect(values(1)).rejects.toThrow(message);
    }
  });

  it.each([
    [{ shapes: new Map([['y', [1]]]) }, /--shape y: m has no such input; it has bool/],
    [{ shapes: new Map([['fp32', [3]]]) }, /does not fit m, which takes \[3,2\]/],
    [{ shapes: new Map([['fp32', [3, 1]]]) }, /does not fit m, which takes \[3,2\]/],
    [{ batchSize: 2 ** 28 }, /would have \d+ bytes; \d+ are the most/],
  ])('are refused of %j', async (changed, message) => {
    await expect(makeInputs(model, { ...inputs, ...changed })).rejects.toThrow(message);
  });

  it('of any size need a shape, and those without a batch take none', async () => {
    const open: ModelDescription = {
      name: 'open',
      maxBatchSize: 0,
      inputs: [{ name: 'x', dtype: 'INT64', shape: [-1, 4] }],
    };
    await expect(makeInputs(open, { ...inputs, batchSize: 1 })).rejects.toThrow(
      /takes x of any size, \[-1,4\]; say which by --shape x:N,4/,
    );
    await expect(makeInputs(open, inputs)).rejects.toThrow(/open has no batch dimension/);
    const shapes = new Map([['x', [2, 4]]]);
    const [made] = await makeInputs(open, { ...inputs, shapes, batchSize: 1 });
    expect(made?.['x']?.shape).toEqual([2, 4]);
  });
});

describe('axle perf refuses', () => {
  const interruption = new Interruption();

  it.each([
    ['mlp --concurrency-range 4 --request-rate-range 10', /exclude each other/],
    ['mlp --concurrency-range 4:2', /ends before it starts/],
    ['mlp --concurrency-range 1.5', /whole numbers from 1 to \d+, not '1.5'/],
    ['mlp --concurrency-range 1:2:3:4', /takes START, START:END/],
    ['mlp --concurrency-range 1:10000', /has 10000 levels; 1000 are the most/],
    ['mlp --concurrency-range 1:0', /goes with --latency-threshold/],
    ['mlp --request-rate-range 0', /takes START/],
    ['mlp --request-rate-range 1:4:0', /takes START/],
    [
      'mlp --binary-search --concurrency-range 1:8',
      /--binary-search goes with --latency-threshold/,
    ],
    ['mlp --binary-search --concurrency-range 4 -l 5', /with a start and an end/],
    ['mlp --percentile 100', /over 0 and under 100/],
    ['mlp --shape 3,4', /NAME:D1,D2/],
    ['mlp --measurement-interval 1', /whole number from 10/],
    ['mlp --request-distribution bursts', /constant, poisson/],
    ['mlp --door ftp://127.0.0.1', /no URL of a door; give grpc:/],
    ['mlp --door grpc://user:secret@127.0.0.1', /no URL of a door/],
    ['mlp --door http+unix:run/x.sock', /no URL of a door/],
    ['mlp --door grpc://127.0.0.1 --on axle+unix:/run/axle.sock', /give one of them/],
    ['mlp --door grpc://127.0.0.1 --device gpu', /--device does not go with --door/],
    ['compress --door grpc://127.0.0.1', /run models only/],
    ['nosuch', /no model 'nosuch'/],
    ['compress', /takes --file/],
    ['echo', /no device has echo\.axle\/echo; bring it along by --plugin/],
    ['mlp --plugin echo=/lib.so --on axle+unix:/run/axle.sock', /a server has its own/],
    ['mlp -f /nonexistent/a.csv', /no such file or directory/],
  ])('%s', async (line, message) => {
    const program = createProgram({ interruption, signal: interruption.signal });
    const before = process.env['AXLE_ENDPOINT'];
    try {
      const parsed = program.parseAsync(['perf', ...line.split(' ')], { from: 'user' });
      await expect(parsed).rejects.toThrow(message);
    } finally {
      if (before === undefined) delete process.env['AXLE_ENDPOINT'];
    }
  });
});
