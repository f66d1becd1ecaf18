import { describe, expect, it } from 'vitest';

import { percentile } from '../src/top/percentile.js';
import { readPrometheusText } from '../src/top/prometheus-text.js';
import { sampleBetween, type TopSample } from '../src/top/top-sample.js';
import { topScreen } from '../src/top/top-screen.js';

const at = new Date(0);
const plain = (_style: string, text: string) => text;
const url = 'http://127.0.0.1:8002';

function sampleOf(before: string, after: string, seconds = 2): TopSample {
  return sampleBetween(readPrometheusText(before), readPrometheusText(after), seconds, at);
}

/** Metrics of one model that answered so many requests. */
function model(name: string, requests: number): string {
  const labels = `{model="${name}",version="1"}`;
  return `# HELP nv_inference_request_success x
# TYPE nv_inference_request_success counter
nv_inference_request_success${labels} ${requests}
nv_inference_request_failure{model="${name}",version="1",reason="OTHER"} ${requests / 2}
nv_inference_request_duration_us${labels} ${requests * 3000}
nv_inference_count${labels} ${requests * 4}
nv_inference_exec_count${labels} ${requests / 2}
nv_inference_pending_request_count${labels} 7
`;
}

describe('figures of an interval', () => {
  it('are what grew in it', () => {
    const { models } = sampleOf(model('m', 100), model('m', 140));
    expect(models).toEqual([
      expect.objectContaining({
        model: 'm',
        version: '1',
        pending: 7,
        requestsPerSecond: 30,
        failuresPerSecond: 10,
        latencyMs: 3,
        batchSize: 8,
      }),
    ]);
  });

  it('are none where nothing happened', () => {
    const { models } = sampleOf(model('m', 100), model('m', 100));
    expect(models).toMatchObject([{ requestsPerSecond: 0, latencyMs: null, batchSize: null }]);
  });

  it('begin anew with a server that was started again', () => {
    const { models } = sampleOf(model('m', 1000), model('m', 4));
    expect(models).toMatchObject([{ requestsPerSecond: 3, latencyMs: 3 }]);
  });

  it('have percentiles, even within a bucket', () => {
    const buckets = [
      [1, 50],
      [2, 90],
      [Infinity, 100],
    ] as const;
    expect(percentile(buckets, 0.5)).toBe(1);
    expect(percentile(buckets, 0.7)).toBe(1.5);
    expect(percentile(buckets, 0.99)).toBe(2);
    expect(percentile([[Infinity, 0]], 0.5)).toBeNull();
    expect(percentile([], 0.5)).toBeNull();
  });
});

describe('a pool', () => {
  const metrics = (answered: number) => `axle_pool_server_tasks{server="gpu1"} 0
axle_pool_server_tasks{server="gpu2"} 3
axle_pool_server_state{server="gpu1",state="drained"} 1
axle_pool_server_state{server="gpu2",state="up"} 1
axle_pool_device_tasks{server="gpu2",device="gpu2/cuda:0"} 3
axle_pool_device_wait_seconds{server="gpu2",device="gpu2/cuda:0"} 0.25
axle_pool_device_tasks_total{server="gpu2",device="gpu2/cuda:0"} ${answered}
axle_pool_move_tasks{server="gpu1",reason="drain"} 7
axle_pool_move_models{server="gpu1",reason="drain"} 2
axle_pool_move_pause_seconds{server="gpu1",reason="drain"} 0.0125
axle_pool_model_copies{model="glyphs"} 2
`;

  it('shows its servers, their devices, where models are, and what moved with its longest pause', () => {
    const sample = sampleOf(metrics(100), metrics(300));
    expect(sample.servers).toMatchObject([
      { server: 'gpu1', state: 'drained' },
      { server: 'gpu2', state: 'up', tasks: 3 },
    ]);
    expect(sample.serverDevices).toEqual([
      { device: 'gpu2/cuda:0', tasks: 3, waitMs: 250, tasksPerSecond: 100 },
    ]);
    expect(sample.moves).toEqual([
      { server: 'gpu1', reason: 'drain', tasks: 7, models: 2, pauseMs: 12.5 },
    ]);
    expect(sample.modelCopies).toEqual({ glyphs: 2 });
    const screen = topScreen(url, sample, { columns: 120, rows: undefined, paint: plain });
    for (const line of [
      /gpu1 +drained/,
      /gpu2\/cuda:0 +3 /,
      /gpu1 +drain +7 +2 +12\.5/,
      /glyphs +2/,
    ]) {
      expect(screen).toMatch(line);
    }
  });
});

describe('the text of metrics', () => {
  it('is read with its labels, whatever is in them', () => {
    const text = 'a{x="1\\"2\\\\3\\n",__proto__="p"} +Inf\nb 2.5e3 1700000000\n\n# a comment\n';
    const samples = readPrometheusText(text);
    expect(samples.get('a')?.[0]?.value).toBe(Infinity);
    expect(Object.entries(samples.get('a')?.[0]?.labels ?? {})).toEqual([
      ['x', '1"2\\3\n'],
      ['__proto__', 'p'],
    ]);
    expect(samples.get('b')).toEqual([{ labels: {}, value: 2500 }]);
  });

  it.each(['<html>', 'a{x=1} 2', 'a', 'a b', '{"error":"x"}'])('is not %s', (text) => {
    expect(() => readPrometheusText(text)).toThrow(/does not speak of metrics/);
  });

  it('is read up to a limit', () => {
    expect(() => readPrometheusText('a 1\n'.repeat(100_001))).toThrow(/more than 100000/);
  });
});

describe('the servers of a pool', () => {
  it('are shown with what became of calls, and nothing of it elsewhere', () => {
    const text = (finished: number) => `axle_pool_server_tasks{server="gpu1"} 3
axle_pool_server_state{server="gpu1",state="up"} 0
axle_pool_server_state{server="gpu1",state="lost"} 1
axle_pool_server_tasks_total{server="gpu1"} ${finished}
axle_pool_server_passed_over{server="gpu1"} 1
axle_pool_events_total{event="hedges"} ${finished / 2}
`;
    const screen = { columns: 200, rows: undefined, paint: plain };
    const shown = topScreen(url, sampleOf(text(0), text(40)), screen);
    expect(shown).toMatch(
      /SERVER +STATE +TASKS +TASKS\/S +PASSED OVER\ngpu1 +lost +3 +20(\.0)? +1\n/,
    );
    expect(shown).toMatch(/HEDGES\/S\n10(\.0)?\n/);
    expect(topScreen(url, sampleOf('', model('m', 1)), screen)).not.toMatch(/SERVER|HEDGES/);
  });
});

describe('the screen', () => {
  const busy = model('idle', 0) + model('bu\u001bsy', 140) + model('other', 0);
  const sample = sampleOf('', busy);

  it('is as wide as it may be, and no wider', () => {
    const widest = (columns: number) =>
      Math.max(
        ...topScreen(url, sample, { columns, rows: undefined, paint: plain })
          .split('\n')
          .map(({ length }) => length),
      );
    const whole = widest(Infinity);
    expect(whole).toBeGreaterThan(60);
    for (const columns of [1, 20, 60, 200]) {
      expect(widest(columns)).toBe(Math.min(columns, whole));
    }
  });

  it('has the busiest first, and no control characters of strangers', () => {
    const text = topScreen(url, sample, { columns: 200, rows: undefined, paint: plain });
    expect(text).toMatch(/MODEL +PENDING.*\nbu\\u001bsy:1 +7 +105 .*\nidle:1 /);
    expect(text).not.toContain('\u001b');
  });

  it('says what it leaves out of what is too long', () => {
    const text = topScreen(url, sample, { columns: 80, rows: 5, paint: plain });
    expect(text.trimEnd().split('\n')).toHaveLength(5);
    expect(text).toMatch(/\n\.\.\. 3 more lines\n$/);
  });

  it('says of what is emulated that it is', () => {
    const device = 'axle_device_tasks{device="gpu:0"} 1\n';
    const info = 'axle_device_info{device="gpu:0",emulated="true"} 1\n';
    const screen = { columns: 80, rows: undefined, paint: plain };
    expect(topScreen(url, sampleOf('', device + info), screen)).toContain(
      'gpu:0 EMULATED  UNKNOWN',
    );
  });
});
