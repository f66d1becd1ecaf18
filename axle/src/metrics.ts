import { channel, tracingChannel } from 'node:diagnostics_channel';

import { AxleError, type CallEvent, type Client, type TaskEvent } from '@axle/core';
import { BoundedLabels, refuseUnknownOptions } from '@axle/core/internal';
import { Counter, Gauge, Histogram, type Registry, type RegistryContentType } from 'prom-client';

import { outcomeCode } from './outcome-code.js';

export interface MetricsOptions {
  /** Whose devices the gauges show; without it there are none. */
  readonly client?: Pick<Client, 'devices'> | undefined;
}

/**
 * Different values that a label may take in one registry; what comes later is counted as 'other'. Callers choose the
 * names of tenants and ops, and each new one costs the process and whoever scrapes it memory for good. An op of a plugin has
 * a value of its own from its first success on: whoever calls what is not there takes nobody's place.
 */
export const metricLabelValuesMax = 100;

/** Seconds: a tenth of a millisecond to half a minute. */
const secondsBuckets = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  30,
];
const batchBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/** What every client has, whatever plugins it has. */
const semanticOps = ['classify', 'infer', 'compress', 'decompress', 'prefetch'] as const;
const healthStates = ['OK', 'DEGRADED', 'LOST'] as const;

/**
 * Counts the calls and tasks of all clients of this process in a registry of prom-client:
 *
 * - `axle_calls_total{op,code,tenant}`, `axle_call_duration_seconds{op}`
 * - `axle_tasks_total{device,op,code}`, `axle_task_queue_seconds{device,op}`, `axle_task_transfer_seconds{device,op}`,
 *   `axle_task_compute_seconds{device,op}`, `axle_batch_size{device}`; a batch is observed once for each of its tasks
 * - with a client `axle_device_tasks{device}`, which wait or run, and `axle_device_health{device,state}`, 1 for the state
 *   that it is in
 *
 * @returns what ends it and takes the metrics out of the registry
 * @throws AxleError ALREADY_EXISTS where the registry has a metric of one of these names; INVALID_ARGUMENT for what is no
 * registry
 */
export function enableMetrics(
  registry: Registry<RegistryContentType>,
  options: MetricsOptions = {},
): () => void {
  checkArguments(registry, options);
  const { client } = options;
  const names: string[] = [];
  const define = <L extends string>(name: string, help: string, labelNames: readonly L[]) => {
    if (registry.getSingleMetric(name) !== undefined) {
      throw new AxleError(
        'ALREADY_EXISTS',
        `the registry has a metric '${name}'; end what an earlier enableMetrics returned, or give another registry`,
      );
    }
    names.push(name);
    return { name, help, labelNames: [...labelNames], registers: [registry as Registry] };
  };
  const ends: (() => void)[] = [];
  const stop = () => {
    for (const end of ends) end();
    for (const name of names) registry.removeSingleMetric(name);
  };
  try {
    ends.push(countCalls(define));
    ends.push(countTasks(define));
    if (client !== undefined) showDevices(client, define);
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}

const knownOptions: ReadonlySet<string> = new Set(['client'] satisfies (keyof MetricsOptions)[]);

/** Callers in plain JavaScript have no types to tell them. */
function checkArguments(registry: unknown, options: unknown): void {
  const { registerMetric } = (registry ?? {}) as { readonly registerMetric?: unknown };
  if (typeof registerMetric !== 'function') {
    const advice = "give one of prom-client, such as its 'register'";
    throw new AxleError('INVALID_ARGUMENT', `there is no registry for the metrics; ${advice}`);
  }
  if (typeof options !== 'object' || options === null) {
    const advice = 'give { client }, or nothing';
    throw new AxleError('INVALID_ARGUMENT', `the options are no object; ${advice}`);
  }
  refuseUnknownOptions(options, knownOptions, 'enableMetrics');
  const { client } = options as MetricsOptions;
  if (client === undefined || typeof (client as Partial<Client> | null)?.devices === 'function') {
    return;
  }
  throw new AxleError('INVALID_ARGUMENT', "'client' is no client; give what connect returned");
}

type Define = <L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[],
) => { name: string; help: string; labelNames: L[]; registers: Registry[] };

function countCalls(define: Define): () => void {
  const total = new Counter(
    define('axle_calls_total', 'Calls that ended, by outcome', ['op', 'code', 'tenant']),
  );
  const duration = new Histogram({
    ...define('axle_call_duration_seconds', 'From a call to its end', ['op']),
    buckets: secondsBuckets,
  });
  const opLabel = new BoundedLabels(metricLabelValuesMax, semanticOps);
  const tenantLabel = new BoundedLabels(metricLabelValuesMax);
  const startedAt = new WeakMap<CallEvent, number>();
  const onStart = (event: CallEvent) => {
    startedAt.set(event, performance.now());
  };
  const onEnd = (event: CallEvent) => {
    const start = startedAt.get(event);
    if (start === undefined) return;
    const code = 'error' in event ? outcomeCode(event.error) : 'OK';
    const op = opLabel.of(event.op, code === 'OK');
    total.inc({ op, code, tenant: tenantLabel.of(event.tenant) });
    duration.observe({ op }, (performance.now() - start) / 1000);
  };
  const calls = tracingChannel<unknown, CallEvent>('axle.call');
  calls.start.subscribe(onStart as (event: unknown) => void);
  calls.asyncEnd.subscribe(onEnd as (event: unknown) => void);
  return () => {
    calls.start.unsubscribe(onStart as (event: unknown) => void);
    calls.asyncEnd.unsubscribe(onEnd as (event: unknown) => void);
  };
}

function countTasks(define: Define): () => void {
  const seconds = (name: string, help: string) =>
    new Histogram({ ...define(name, help, ['device', 'op']), buckets: secondsBuckets });
  const total = new Counter(
    define('axle_tasks_total', 'Tasks that ended, by outcome', ['device', 'op', 'code']),
  );
  const queue = seconds('axle_task_queue_seconds', 'Time of a task before a device began it');
  const transfer = seconds('axle_task_transfer_seconds', 'Time to move the data of a task');
  const compute = seconds('axle_task_compute_seconds', 'Time in which a device computed a task');
  const batchSize = new Histogram({
    ...define('axle_batch_size', 'Tasks computed together, for each task', ['device']),
    buckets: batchBuckets,
  });
  const opLabel = new BoundedLabels(metricLabelValuesMax);
  const onTask = (message: unknown) => {
    const event = message as TaskEvent;
    const { device, code, queueMs, ran } = event;
    const op = opLabel.of(event.op);
    total.inc({ device, op, code });
    queue.observe({ device, op }, queueMs / 1000);
    if (ran === undefined) return;
    transfer.observe({ device, op }, ran.transferMs / 1000);
    compute.observe({ device, op }, ran.computeMs / 1000);
    batchSize.observe({ device }, ran.batchSize);
  };
  const tasks = channel('axle.task');
  tasks.subscribe(onTask);
  return () => {
    tasks.unsubscribe(onTask);
  };
}

function showDevices(client: Pick<Client, 'devices'>, define: Define): void {
  const devices = oncePerScrape(() => devicesOf(client));
  new Gauge({
    ...define('axle_device_tasks', 'Tasks that wait for a device or run on it', ['device']),
    async collect() {
      this.reset();
      for (const { id, tasks } of await devices()) this.set({ device: id }, tasks);
    },
  });
  new Gauge({
    ...define('axle_device_health', '1 for the state that a device is in', ['device', 'state']),
    async collect() {
      this.reset();
      for (const { id, health } of await devices()) {
        for (const state of healthStates) {
          this.set({ device: id, state }, state === health ? 1 : 0);
        }
      }
    },
  });
}

/** A registry collects all of its metrics at once: who asks while an answer is on its way gets that one. */
function oncePerScrape<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () =>
    (answer ??= ask().finally(() => {
      answer = undefined;
    }));
}

/** None once the client is closed: that must not fail the scrape of what else is in the registry. */
async function devicesOf(client: Pick<Client, 'devices'>) {
  try {
    return (await client.devices()).devices;
  } catch (error) {
    if (error instanceof AxleError && error.code === 'FAILED_PRECONDITION') return [];
    throw error;
  }
}
