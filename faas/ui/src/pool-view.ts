import type { PoolDevice, PoolModel } from '../../src/doors/ui/pool-sample.js';
import type { UiState } from '../../src/doors/ui/ui-state.js';
import { element, figure, milliseconds, table } from './elements.js';

export function poolView({ pool, poolTrouble }: UiState): readonly Node[] {
  if (pool === null) return [element('p', {}, poolTrouble)];
  return [deviceTable(pool.devices), modelTable(pool.models)];
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
