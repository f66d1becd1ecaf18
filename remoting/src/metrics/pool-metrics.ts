import { Counter, Gauge, type Registry } from 'prom-client';

import type { MemberState } from '../pool/member.js';
import type { PoolBackend } from '../pool/pool-backend.js';

const states: readonly MemberState[] = ['connecting', 'up', 'draining', 'lost'];

/** Gives a registry the figures of a pool: its servers, which are few, and what became of tasks. */
export function addPoolMetrics(registry: Registry, backend: PoolBackend): void {
  const registers = [registry];
  const labelNames = ['server'];
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
    help: 'What happened to tasks: hedges, hedges_won, rescues, moves, refusals; to devices: ejections',
    labelNames: ['event'],
    registers,
    collect() {
      this.reset();
      const { hedges, hedgesWon, rescues, moves, refusals, ejections } = backend.counts;
      const counts = { hedges, hedges_won: hedgesWon, rescues, moves, refusals, ejections };
      for (const [event, count] of Object.entries(counts)) this.inc({ event }, count);
    },
  });
}
