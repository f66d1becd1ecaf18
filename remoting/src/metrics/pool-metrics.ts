import { Counter, Gauge, type Registry } from 'prom-client';

import type { MemberState } from '../pool/member.js';
import type { MoveReport } from '../pool/moves.js';
import type { DeviceOfPool, PoolBackend } from '../pool/pool-backend.js';

const states: readonly MemberState[] = ['connecting', 'up', 'draining', 'drained', 'lost'];

const msPerSecond = 1000;

/** Gives a registry the figures of a pool: its servers, which are few, and what became of tasks. */
export function addPoolMetrics(registry: Registry, backend: PoolBackend): void {
  const registers = [registry];
  const labelNames = ['server'];
  new Gauge({
    name: 'axle_pool_server_info',
    help: '1 for each server of the pool, by what it is called and by its URL',
    labelNames: [...labelNames, 'url'],
    registers,
    collect() {
      this.reset();
      for (const { label: server, url } of backend.servers) this.set({ server, url }, 1);
    },
  });
  new Gauge({
    name: 'axle_pool_server_state',
    help: '1 for the state that a server of the pool is in',
    labelNames: [...labelNames, 'state'],
    registers,
    collect() {
      this.reset();
      for (const { label: server, state: its } of backend.servers) {
        for (const state of states) this.set({ server, state }, state === its ? 1 : 0);
      }
    },
  });
  new Gauge({
    name: 'axle_pool_server_tasks',
    help: 'Tasks of this pool on their way to a server, there, or on their way back',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      for (const { label: server, inFlight } of backend.servers) this.set({ server }, inFlight);
    },
  });
  new Counter({
    name: 'axle_pool_server_tasks_total',
    help: 'Tasks that a server finished for this pool',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      for (const { label: server, finished } of backend.servers) this.inc({ server }, finished);
    },
  });
  new Gauge({
    name: 'axle_pool_server_passed_over',
    help: 'Devices of a server whose tasks go elsewhere, being far slower than others, stuck or failing',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      for (const { label: server, passedOver } of backend.servers) this.set({ server }, passedOver);
    },
  });
  new Counter({
    name: 'axle_pool_events_total',
    help: 'What happened to tasks: hedges, hedges_won, rescues, moves, refusals; to devices: ejections; to models: replicas',
    labelNames: ['event'],
    registers,
    collect() {
      this.reset();
      const { hedgesWon, ...others } = backend.counts;
      const counts = { ...others, hedges_won: hedgesWon };
      for (const [event, count] of Object.entries(counts)) this.inc({ event }, count);
    },
  });
  addDeviceMetrics(registers, backend);
  addMoveMetrics(registers, backend);
  new Gauge({
    name: 'axle_pool_model_copies',
    help: 'Devices of the pool that a model is loaded on',
    labelNames: ['model'],
    registers,
    collect() {
      this.reset();
      for (const { name: model, copies } of backend.models) this.inc({ model }, copies);
    },
  });
}

function addDeviceMetrics(registers: Registry[], backend: PoolBackend): void {
  const labelNames = ['server', 'device'];
  const each = (set: (labels: Record<string, string>, device: DeviceOfPool) => void) => {
    for (const { label: server, devices } of backend.servers) {
      for (const device of devices) set({ server, device: device.id }, device);
    }
  };
  new Gauge({
    name: 'axle_pool_device_tasks',
    help: 'Tasks of this pool on their way to a device of a server, there, or on their way back',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      each((labels, { inFlight }) => {
        this.set(labels, inFlight);
      });
    },
  });
  new Gauge({
    name: 'axle_pool_device_wait_seconds',
    help: 'How long a new task of this pool would wait for a device of a server',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      each((labels, { waitMs }) => {
        this.set(labels, waitMs / msPerSecond);
      });
    },
  });
  new Counter({
    name: 'axle_pool_device_tasks_total',
    help: 'Tasks that a device of a server finished for this pool',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      each((labels, { finished }) => {
        this.inc(labels, finished);
      });
    },
  });
}

function addMoveMetrics(registers: Registry[], backend: PoolBackend): void {
  const labelNames = ['server', 'reason'];
  const lastOf = (set: (labels: Record<string, string>, move: MoveReport) => void) => {
    for (const move of backend.moves.lastOfEach) {
      set({ server: move.server, reason: move.reason }, move);
    }
  };
  new Gauge({
    name: 'axle_pool_move_tasks',
    help: 'Tasks that went on elsewhere when work left a server last, by why it did: drain, leave, loss',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      lastOf((labels, { tasks }) => {
        this.set(labels, tasks);
      });
    },
  });
  new Gauge({
    name: 'axle_pool_move_models',
    help: 'Models that were loaded elsewhere before work left a server last',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      lastOf((labels, { models }) => {
        this.set(labels, models);
      });
    },
  });
  new Gauge({
    name: 'axle_pool_move_pause_seconds',
    help: 'The longest that a task stood still when work left a server last, from when it was taken away until its answer',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      lastOf((labels, { pauseMs }) => {
        this.set(labels, pauseMs / msPerSecond);
      });
    },
  });
  new Counter({
    name: 'axle_pool_paused_tasks_total',
    help: 'Tasks that were taken from a server and answered by another',
    registers,
    collect() {
      this.reset();
      this.inc(backend.moves.pausedTasks);
    },
  });
  new Counter({
    name: 'axle_pool_pause_seconds_total',
    help: 'How long tasks that were taken from a server stood still, together',
    registers,
    collect() {
      this.reset();
      this.inc(backend.moves.pausedMs / msPerSecond);
    },
  });
}
