import type { Runtime } from '@axle/core/internal';
import { Counter, Gauge, Registry } from 'prom-client';

import type { ServerUsage } from '../server/server.js';
import type { ResourceStore } from '../store/resource-store.js';
import type { Tenant } from '../trust/tenants.js';
import { addDeviceMetrics } from './device-metrics.js';
import { ModelCounts } from './model-counts.js';
import { addModelMetrics, type WaitingByModel } from './model-metrics.js';
import type { UsageEntry } from '../usage/usage-counts.js';
import { addTenantMetrics } from './tenant-metrics.js';
import { addUsageMetrics } from './usage-metrics.js';

/** What a server shows of itself. */
export interface MeasuredServer {
  readonly runtime: Runtime;
  readonly store: ResourceStore;
  readonly tenants: () => Iterable<Tenant>;
  readonly usage: () => ServerUsage;
  /** Device time of tenants so far. */
  readonly deviceUsage: () => Iterable<UsageEntry>;
  /** Open connections of each kind of door. */
  readonly doorConnections: () => ReadonlyMap<string, number>;
  /** How often each device host was started again. */
  readonly hostRestarts: () => ReadonlyMap<string, number>;
  /** Tasks that wait in them, by the content of their models. */
  readonly hostWaiting: WaitingByModel;
}

/** What there is to know of a server in figures, for Prometheus. */
export class ServerMetrics {
  readonly registry = new Registry();
  private rendering: Promise<string> | undefined;

  /** Counts from now on. */
  constructor(measured: MeasuredServer) {
    const { runtime, store, tenants, usage, doorConnections, hostRestarts } = measured;
    const { registry } = this;
    const models = new ModelCounts();
    runtime.callObserver = models;
    addModelMetrics(registry, models, () => waitingOf(measured));
    addDeviceMetrics(registry, runtime);
    addTenantMetrics(registry, tenants, store);
    addUsageMetrics(registry, measured.deviceUsage);
    this.gauge('axle_wire_connections', 'Open connections of the wire protocol', () => [
      [{}, usage().connections],
    ]);
    this.gauge('axle_wire_handles', 'Open handles of those', () => [[{}, usage().handles]]);
    this.gauge('axle_wire_kept_answers', 'Answers kept until they are acknowledged', () => [
      [{}, usage().answers],
    ]);
    this.counter('axle_wire_bytes_total', 'Bytes of those, without shared memory', () => [
      [{ direction: 'received' }, usage().bytesReceived],
      [{ direction: 'sent' }, usage().bytesSent],
    ]);
    this.gauge('axle_door_connections', 'Open connections of standard clients', () =>
      [...doorConnections()].map(([door, count]) => [{ door }, count]),
    );
    this.gauge('axle_store_bytes', 'Models that clients sent, each charged in full', () => [
      [{}, store.bytes],
    ]);
    this.counter('axle_host_restarts_total', 'How often a device host was started again', () =>
      [...hostRestarts()].map(([host, count]) => [{ host }, count]),
    );
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** Prometheus's text format. Who asks while it is being put together gets that one. */
  text(): Promise<string> {
    return (this.rendering ??= this.registry.metrics().finally(() => {
      this.rendering = undefined;
    }));
  }

  private gauge(name: string, help: string, samples: () => readonly Sample[]): void {
    const labelNames = labelsOfMetric[name] ?? [];
    new Gauge({
      ...{ name, help, labelNames, registers: [this.registry] },
      collect() {
        this.reset();
        for (const [labels, value] of samples()) this.set(labels, value);
      },
    });
  }

  private counter(name: string, help: string, samples: () => readonly Sample[]): void {
    const labelNames = labelsOfMetric[name] ?? [];
    new Counter({
      ...{ name, help, labelNames, registers: [this.registry] },
      collect() {
        this.reset();
        for (const [labels, value] of samples()) this.inc(labels, value);
      },
    });
  }
}

/** Here, and in device hosts. */
async function waitingOf({ runtime, hostWaiting }: MeasuredServer) {
  const all = new Map(runtime.waitingByModel);
  for (const [model, waiting] of await hostWaiting()) {
    all.set(model, (all.get(model) ?? 0) + waiting);
  }
  return all;
}

type Sample = readonly [labels: Record<string, string>, value: number];

const labelsOfMetric: Readonly<Record<string, string[]>> = {
  axle_wire_bytes_total: ['direction'],
  axle_door_connections: ['door'],
  axle_host_restarts_total: ['host'],
};
