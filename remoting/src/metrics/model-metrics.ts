import { Counter, Gauge, type Registry } from 'prom-client';

import { failureReasons } from './failure-reason.js';
import type { ModelCount, ModelCounts } from './model-counts.js';

type Value = (count: ModelCount) => number;

const labelNames = ['model', 'version'];

/** What users of Triton have on their boards, under the names that they know. */
const counters: readonly (readonly [name: string, help: string, value: Value])[] = [
  [
    'nv_inference_request_success',
    'Inference requests that succeeded',
    ({ successes }) => successes,
  ],
  ['nv_inference_count', 'Inferences: a request with a batch has as many', ({ items }) => items],
  [
    'nv_inference_exec_count',
    'Runs on a device: requests that were computed together are one',
    ({ executions }) => Math.round(executions),
  ],
  [
    'nv_inference_request_duration_us',
    'Time of requests that succeeded, in all',
    ({ requestUs }) => Math.round(requestUs),
  ],
  [
    'nv_inference_queue_duration_us',
    'Time that they waited for a device, in all',
    ({ queueUs }) => Math.round(queueUs),
  ],
  [
    'nv_inference_compute_input_duration_us',
    'Time to gather and move their data, both ways, in all',
    ({ transferUs }) => Math.round(transferUs),
  ],
  [
    'nv_inference_compute_infer_duration_us',
    'Time in which devices computed them, in all',
    ({ computeUs }) => Math.round(computeUs),
  ],
];

/** Tasks that wait for devices, by the content of their models. */
export type WaitingByModel = () => Promise<ReadonlyMap<string, number>>;

/** Gives a registry the figures of models. */
export function addModelMetrics(
  registry: Registry,
  counts: ModelCounts,
  waitingByModel: WaitingByModel,
): void {
  const registers = [registry];
  for (const [name, help, value] of counters) {
    new Counter({
      ...{ name, help, labelNames, registers },
      collect() {
        this.reset();
        for (const count of counts.all) this.inc(labelsOf(count), value(count));
      },
    });
  }
  new Counter({
    name: 'nv_inference_request_failure',
    help: 'Inference requests that failed, by reason',
    labelNames: [...labelNames, 'reason'],
    registers,
    collect() {
      this.reset();
      for (const count of counts.all) {
        for (const reason of failureReasons) {
          this.inc({ ...labelsOf(count), reason }, count.failures[reason]);
        }
      }
    },
  });
  new Gauge({
    name: 'nv_inference_pending_request_count',
    help: 'Inference requests that wait for a device',
    ...{ labelNames, registers },
    async collect() {
      const pending = counts.pending(await waitingByModel());
      this.reset();
      for (const [count, waiting] of pending) this.set(labelsOf(count), waiting);
    },
  });
}

function labelsOf({ name, version }: ModelCount) {
  return { model: name, version };
}
