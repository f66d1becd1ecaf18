import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import { functionNamespace } from '../functions/deployment-request.js';
import type { FunctionReport } from '../calls/served-function.js';

/** From a millisecond, as functions here take, to the longest. */
const secondsBuckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

/** Calls of a function since the front end started. */
export interface CallFigures {
  readonly calls: number;
  readonly ended: number;
  /** Answered with a status of 500 or more. */
  readonly failures: number;
  /** That waited for an instance which was started meanwhile. */
  readonly coldStarts: number;
  /** That ended calls took, together. */
  readonly seconds: number;
}

const noCalls: CallFigures = { calls: 0, ended: 0, failures: 0, coldStarts: 0, seconds: 0 };
const serverFailure = 500;

/** What gauges look at when they are read. */
export interface GatewayState {
  readonly reports: () => readonly {
    readonly name: string;
    readonly report: FunctionReport | undefined;
  }[];
  readonly queued: () => { readonly waiting: number; readonly dead: number };
}

/** Metrics under OpenFaaS's names. Only functions that are deployed become labels, and those that are removed go. */
export class GatewayMetrics {
  readonly registry = new Registry();
  private readonly counts = new Map<string, { -readonly [F in keyof CallFigures]: number }>();
  private readonly seconds = new Histogram({
    name: 'gateway_functions_seconds',
    help: 'Time of calls until their answer was sent',
    labelNames: ['function_name', 'code'],
    buckets: secondsBuckets,
    registers: [this.registry],
  });
  private readonly started = new Counter({
    name: 'gateway_function_invocation_started',
    help: 'Calls that were accepted',
    labelNames: ['function_name'],
    registers: [this.registry],
  });
  private readonly ended = new Counter({
    name: 'gateway_function_invocation_total',
    help: 'Calls that ended, by status of HTTP; 499: nobody waited for it any more',
    labelNames: ['function_name', 'code'],
    registers: [this.registry],
  });

  private readonly coldStarts = new Counter({
    name: 'axle_function_cold_starts_total',
    help: 'Calls that waited for an instance which was started meanwhile',
    labelNames: ['function_name'],
    registers: [this.registry],
  });

  constructor(state: GatewayState) {
    const { registry } = this;
    new Gauge({
      name: 'gateway_service_count',
      help: 'Instances that take calls',
      labelNames: ['function_name'],
      registers: [registry],
      collect() {
        this.reset();
        for (const { name, report } of state.reports()) {
          this.set({ function_name: labelOf(name) }, report?.ready ?? 0);
        }
      },
    });
    new Gauge({
      name: 'axle_async_calls',
      help: 'Calls on disk: waiting or at work, and given up',
      labelNames: ['state'],
      registers: [registry],
      collect() {
        const { waiting, dead } = state.queued();
        this.set({ state: 'waiting' }, waiting);
        this.set({ state: 'dead' }, dead);
      },
    });
  }

  start(name: string): void {
    const counts = this.counts.get(name) ?? { ...noCalls };
    counts.calls += 1;
    this.counts.set(name, counts);
    this.started.inc({ function_name: labelOf(name) });
  }

  end(name: string, code: number, ms: number): void {
    const counts = this.counts.get(name);
    // It was removed meanwhile.
    if (counts === undefined) return;
    counts.ended += 1;
    counts.seconds += ms / 1000;
    if (code >= serverFailure) counts.failures += 1;
    const labels = { function_name: labelOf(name), code: String(code) };
    this.ended.inc(labels);
    this.seconds.observe(labels, ms / 1000);
  }

  figures(name: string): CallFigures {
    return this.counts.get(name) ?? noCalls;
  }

  coldStart(name: string): void {
    const counts = this.counts.get(name);
    if (counts === undefined) return;
    counts.coldStarts += 1;
    this.coldStarts.inc({ function_name: labelOf(name) });
  }

  async forget(name: string): Promise<void> {
    this.counts.delete(name);
    for (const metric of [this.seconds, this.started, this.ended, this.coldStarts]) {
      const { values } = await metric.get();
      const label = labelOf(name);
      const codes = new Set(
        values.flatMap(({ labels }) =>
          labels.function_name === label ? [(labels as { code?: string }).code] : [],
        ),
      );
      for (const code of codes) {
        metric.remove(
          code === undefined ? { function_name: label } : { function_name: label, code },
        );
      }
    }
  }
}

function labelOf(name: string): string {
  return `${name}.${functionNamespace}`;
}
