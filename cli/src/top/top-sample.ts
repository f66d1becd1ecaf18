import { Figures } from './figures.js';
import { percentile } from './percentile.js';
import type { Samples } from './prometheus-text.js';

/** What happened on a server in an interval, and how it stands at the end. Times are milliseconds; null: nothing was. */
export interface TopSample {
  /** When it ended, as ISO 8601. */
  readonly at: string;
  readonly intervalSeconds: number;
  readonly devices: readonly DeviceSample[];
  readonly models: readonly ModelSample[];
  readonly ops: readonly OpSample[];
  readonly tenants: readonly TenantSample[];
  readonly wire: WireSample;
  /** Bytes of models that clients sent. */
  readonly storeBytes: number;
  readonly hostRestarts: Readonly<Record<string, number>>;
  /** Of a pool; none elsewhere. */
  readonly servers: readonly ServerSample[];
  /** Their devices, as the pool uses them. */
  readonly serverDevices: readonly ServerDeviceSample[];
  /** When work left servers of a pool last. */
  readonly moves: readonly MoveSample[];
  /** On how many devices of a pool models are. */
  readonly modelCopies: Readonly<Record<string, number>>;
  /** What happened in a pool: hedges, moves and so on. */
  readonly poolEventsPerSecond: Readonly<Record<string, number>>;
}

export interface DeviceSample {
  readonly device: string;
  /** It only stands for hardware. */
  readonly emulated: boolean;
  readonly health: string;
  /** That wait or run. */
  readonly tasks: number;
  /** How long a new task would wait. */
  readonly waitMs: number;
  readonly tasksPerSecond: number;
  /** Tasks computed together, as a task sees it on average. */
  readonly batchSize: number | null;
}

/** One server of a pool. */
export interface ServerSample {
  readonly server: string;
  readonly state: string;
  /** Of this pool, on their way to it, there, or on their way back. */
  readonly tasks: number;
  readonly tasksPerSecond: number;
  /** Devices whose tasks go elsewhere, being slow, stuck or failing. */
  readonly passedOver: number;
}

/** One device of a server of a pool. */
export interface ServerDeviceSample {
  readonly device: string;
  /** Of this pool, on their way to it, there, or on their way back. */
  readonly tasks: number;
  readonly waitMs: number;
  readonly tasksPerSecond: number;
}

/** When work left a server last. */
export interface MoveSample {
  readonly server: string;
  /** drain, leave or loss. */
  readonly reason: string;
  /** Taken from it. */
  readonly tasks: number;
  /** Loaded elsewhere before. */
  readonly models: number;
  /** The longest that a task stood still. */
  readonly pauseMs: number;
}

export interface ModelSample {
  readonly model: string;
  readonly version: string;
  /** Requests that are not answered. */
  readonly pending: number;
  readonly requestsPerSecond: number;
  readonly failuresPerSecond: number;
  /** Means, of requests that succeeded. */
  readonly latencyMs: number | null;
  readonly queueMs: number | null;
  readonly computeMs: number | null;
  /** Items of one run on average. */
  readonly batchSize: number | null;
}

export interface OpSample {
  readonly op: string;
  readonly callsPerSecond: number;
  readonly failuresPerSecond: number;
  readonly meanMs: number | null;
  /** By a histogram: within its buckets. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

export interface TenantSample {
  readonly tenant: string;
  readonly callsPerSecond: number;
  /** By what there are quotas of; null where they have none in common. */
  readonly usage: Readonly<Record<string, { readonly used: number; readonly most: number | null }>>;
}

export interface WireSample {
  readonly connections: number;
  readonly handles: number;
  readonly receivedBytesPerSecond: number;
  readonly sentBytesPerSecond: number;
}

const memberStates = ['connecting', 'up', 'draining', 'drained', 'lost'];
const healthStates = ['OK', 'DEGRADED', 'LOST'];
const msPerSecond = 1000;
const usPerMs = 1000;

/** What lies between two answers of a server. @param seconds between them */
export function sampleBetween(
  before: Samples,
  after: Samples,
  seconds: number,
  at: Date,
): TopSample {
  const figures = new Figures(before, after, seconds);
  return {
    at: at.toISOString(),
    intervalSeconds: seconds,
    devices: figures.values('axle_device_tasks', 'device').map((id) => deviceOf(figures, id)),
    models: figures
      .labelSets('nv_inference_request_success', ['model', 'version'])
      .map(([model = '', version = '']) => modelOf(figures, model, version)),
    ops: figures.values('axle_calls_total', 'op').map((op) => opOf(figures, op)),
    tenants: figures.values('axle_tenant_usage', 'tenant').map((name) => tenantOf(figures, name)),
    wire: {
      connections: figures.now('axle_wire_connections'),
      handles: figures.now('axle_wire_handles'),
      receivedBytesPerSecond: figures.rate('axle_wire_bytes_total', { direction: 'received' }),
      sentBytesPerSecond: figures.rate('axle_wire_bytes_total', { direction: 'sent' }),
    },
    storeBytes: figures.now('axle_store_bytes'),
    hostRestarts: Object.fromEntries(
      figures
        .values('axle_host_restarts_total', 'host')
        .map((host) => [host, figures.now('axle_host_restarts_total', { host })]),
    ),
    servers: figures
      .values('axle_pool_server_tasks', 'server')
      .map((name) => serverOf(figures, name)),
    serverDevices: figures
      .values('axle_pool_device_tasks', 'device')
      .map((device) => serverDeviceOf(figures, device)),
    moves: figures
      .labelSets('axle_pool_move_tasks', ['server', 'reason'])
      .map(([server = '', reason = '']) => moveOf(figures, server, reason)),
    modelCopies: Object.fromEntries(
      figures
        .values('axle_pool_model_copies', 'model')
        .map((model) => [model, figures.now('axle_pool_model_copies', { model })]),
    ),
    poolEventsPerSecond: Object.fromEntries(
      figures
        .values('axle_pool_events_total', 'event')
        .map((event) => [event, figures.rate('axle_pool_events_total', { event })]),
    ),
  };
}

function deviceOf(figures: Figures, device: string): DeviceSample {
  const health = healthStates.find(
    (state) => figures.now('axle_device_health', { device, state }) === 1,
  );
  return {
    device,
    emulated: figures.now('axle_device_info', { device, emulated: 'true' }) === 1,
    health: health ?? 'UNKNOWN',
    tasks: figures.now('axle_device_tasks', { device }),
    waitMs: figures.now('axle_device_wait_seconds', { device }) * msPerSecond,
    tasksPerSecond: figures.rate('axle_tasks_total', { device }),
    batchSize: figures.mean('axle_batch_size_sum', 'axle_batch_size_count', { device }),
  };
}

function serverOf(figures: Figures, server: string): ServerSample {
  const state = memberStates.find(
    (each) => figures.now('axle_pool_server_state', { server, state: each }) === 1,
  );
  return {
    server,
    state: state ?? 'unknown',
    tasks: figures.now('axle_pool_server_tasks', { server }),
    tasksPerSecond: figures.rate('axle_pool_server_tasks_total', { server }),
    passedOver: figures.now('axle_pool_server_passed_over', { server }),
  };
}

function serverDeviceOf(figures: Figures, device: string): ServerDeviceSample {
  return {
    device,
    tasks: figures.now('axle_pool_device_tasks', { device }),
    waitMs: figures.now('axle_pool_device_wait_seconds', { device }) * msPerSecond,
    tasksPerSecond: figures.rate('axle_pool_device_tasks_total', { device }),
  };
}

function moveOf(figures: Figures, server: string, reason: string): MoveSample {
  const labels = { server, reason };
  return {
    ...labels,
    tasks: figures.now('axle_pool_move_tasks', labels),
    models: figures.now('axle_pool_move_models', labels),
    pauseMs: figures.now('axle_pool_move_pause_seconds', labels) * msPerSecond,
  };
}

function modelOf(figures: Figures, model: string, version: string): ModelSample {
  const labels = { model, version };
  const meanMs = (part: string) => {
    const mean = figures.mean(
      `nv_inference_${part}_duration_us`,
      'nv_inference_request_success',
      labels,
    );
    return mean === null ? null : mean / usPerMs;
  };
  const failures = figures.rate('nv_inference_request_failure', labels);
  return {
    ...labels,
    pending: figures.now('nv_inference_pending_request_count', labels),
    requestsPerSecond: figures.rate('nv_inference_request_success', labels) + failures,
    failuresPerSecond: failures,
    latencyMs: meanMs('request'),
    queueMs: meanMs('queue'),
    computeMs: meanMs('compute_infer'),
    batchSize: figures.mean('nv_inference_count', 'nv_inference_exec_count', labels),
  };
}

function opOf(figures: Figures, op: string): OpSample {
  const name = 'axle_call_duration_seconds';
  const buckets = figures.grownBy(`${name}_bucket`, { op }, 'le');
  const inMs = (seconds: number | null) => (seconds === null ? null : seconds * msPerSecond);
  const calls = figures.rate('axle_calls_total', { op });
  return {
    op,
    callsPerSecond: calls,
    failuresPerSecond: calls - figures.rate('axle_calls_total', { op, code: 'OK' }),
    meanMs: inMs(figures.mean(`${name}_sum`, `${name}_count`, { op })),
    p50Ms: inMs(percentile(buckets, 0.5)),
    p99Ms: inMs(percentile(buckets, 0.99)),
  };
}

function tenantOf(figures: Figures, tenant: string): TenantSample {
  const usage = figures
    .labelSets('axle_tenant_usage', ['tenant', 'resource'])
    .filter(([name]) => name === tenant)
    .map(([, resource = '']) => {
      const labels = { tenant, resource };
      const most = figures.find('axle_tenant_quota', labels) ?? null;
      return [resource, { used: figures.now('axle_tenant_usage', labels), most }] as const;
    });
  return {
    tenant,
    callsPerSecond: figures.rate('axle_calls_total', { tenant }),
    usage: Object.fromEntries(usage),
  };
}
