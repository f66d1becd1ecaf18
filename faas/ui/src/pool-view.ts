import type {
  PoolDevice,
  PoolModel,
  PoolMove,
  PoolServer,
  PoolServerDevice,
  PoolTenant,
} from '../../src/doors/ui/pool-sample.js';
import type { UiState } from '../../src/doors/ui/ui-state.js';
import { element, figure, milliseconds, table } from './elements.js';

export function poolView({ pool, poolTrouble }: UiState): readonly Node[] {
  if (pool === null) return [element('p', {}, poolTrouble)];
  const { servers, serverDevices, moves, devices, models, tenants } = pool;
  const ofMany =
    servers.length === 0 ? [] : [serverTable(servers), serverDeviceTable(serverDevices)];
  return [
    ...ofMany,
    ...(moves.length === 0 ? [] : [moveTable(moves)]),
    deviceTable(devices),
    modelTable(models),
    ...(tenants.length === 0 ? [] : [tenantTable(tenants)]),
  ];
}

function serverTable(servers: readonly PoolServer[]): HTMLElement {
  return table<PoolServer>(
    [
      { title: 'Server', cell: ({ server }) => server },
      { title: 'State', cell: ({ state }) => state },
      { title: 'Tasks', isNumber: true, cell: ({ tasks }) => figure(tasks) },
      { title: 'Tasks/s', isNumber: true, cell: ({ tasksPerSecond }) => figure(tasksPerSecond) },
      { title: 'Passed over', isNumber: true, cell: ({ passedOver }) => figure(passedOver) },
    ],
    servers,
    'The pool has no server.',
  );
}

function serverDeviceTable(devices: readonly PoolServerDevice[]): HTMLElement {
  return table<PoolServerDevice>(
    [
      { title: 'Device of a server', cell: ({ device }) => device },
      { title: 'Tasks', isNumber: true, cell: ({ tasks }) => figure(tasks) },
      { title: 'Wait', isNumber: true, cell: ({ waitMs }) => milliseconds(waitMs) },
      { title: 'Tasks/s', isNumber: true, cell: ({ tasksPerSecond }) => figure(tasksPerSecond) },
    ],
    devices,
    'No server has answered yet.',
  );
}

function moveTable(moves: readonly PoolMove[]): HTMLElement {
  return table<PoolMove>(
    [
      { title: 'Moved from', cell: ({ server }) => server },
      { title: 'Why', cell: ({ reason }) => reason },
      { title: 'Tasks', isNumber: true, cell: ({ tasks }) => figure(tasks) },
      { title: 'Models', isNumber: true, cell: ({ models }) => figure(models) },
      { title: 'Longest pause', isNumber: true, cell: ({ pauseMs }) => milliseconds(pauseMs) },
    ],
    moves,
    'Nothing moved.',
  );
}

function tenantTable(tenants: readonly PoolTenant[]): HTMLElement {
  const used = (resource: string) => ({
    title: resource,
    isNumber: true,
    cell: ({ usage }: PoolTenant) => share(usage[resource]),
  });
  return table<PoolTenant>(
    [
      { title: 'Tenant', cell: ({ tenant }) => tenant },
      { title: 'Calls/s', isNumber: true, cell: ({ callsPerSecond }) => figure(callsPerSecond) },
      ...['calls', 'connections', 'handles'].map(used),
    ],
    tenants,
    'No tenant came yet.',
  );
}

function share(usage: PoolTenant['usage'][string] | undefined): string {
  if (usage === undefined) return '-';
  return usage.most === null ? String(usage.used) : `${usage.used} of ${usage.most}`;
}

function deviceTable(devices: readonly PoolDevice[]): HTMLElement {
  return table<PoolDevice>(
    [
      { title: 'Device', cell: deviceName },
      { title: 'Health', cell: ({ health }) => health },
      { title: 'Tasks', isNumber: true, cell: ({ tasks }) => figure(tasks) },
      { title: 'Wait', isNumber: true, cell: ({ waitMs }) => milliseconds(waitMs) },
      { title: 'Tasks/s', isNumber: true, cell: ({ tasksPerSecond }) => figure(tasksPerSecond) },
      { title: 'Batch size', isNumber: true, cell: ({ batchSize }) => figure(batchSize) },
    ],
    devices,
    'The pool has no device.',
  );
}

function deviceName({ device, emulated }: PoolDevice): Node {
  const mark = element('span', { className: 'emulated' }, 'emulated');
  return element('span', {}, device, ...(emulated ? [mark] : []));
}

function modelTable(models: readonly PoolModel[]): HTMLElement {
  return table<PoolModel>(
    [
      {
        title: 'Model',
        cell: ({ model, version }) => (version === '' ? model : `${model}:${version}`),
      },
      { title: 'Pending', isNumber: true, cell: ({ pending }) => figure(pending) },
      {
        title: 'Requests/s',
        isNumber: true,
        cell: ({ requestsPerSecond }) => figure(requestsPerSecond),
      },
      { title: 'Latency', isNumber: true, cell: ({ latencyMs }) => milliseconds(latencyMs) },
      { title: 'Batch size', isNumber: true, cell: ({ batchSize }) => figure(batchSize) },
    ],
    models,
    'No model ran yet.',
  );
}
