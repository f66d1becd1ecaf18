import { element, figure, milliseconds, table } from './elements.js';
import type { FunctionRates } from './rates.js';

export function functionTable(functions: readonly FunctionRates[]): HTMLElement {
  return table<FunctionRates>(
    [
      { title: 'Function', cell: nameCell },
      { title: 'Instances', isNumber: true, cell: ({ instances }) => figure(instances) },
      { title: 'Waiting', isNumber: true, cell: ({ waiting }) => figure(waiting) },
      { title: 'Calls/s', isNumber: true, cell: ({ callsPerSecond }) => figure(callsPerSecond) },
      { title: 'Latency', isNumber: true, cell: ({ latencyMs }) => milliseconds(latencyMs) },
      { title: 'Calls', isNumber: true, cell: ({ calls }) => figure(calls) },
      { title: 'Cold starts', isNumber: true, cell: ({ coldStarts }) => figure(coldStarts) },
      { title: 'Failures', isNumber: true, cell: ({ failures }) => figure(failures) },
      { title: 'Image', cell: ({ image }) => image },
    ],
    functions,
    'None is deployed yet. axle function new makes one, push stores it, deploy runs it.',
  );
}

/** With why what was deployed last does not run, where it does not. */
function nameCell({ name, failure }: FunctionRates): Node | string {
  if (failure === '') return name;
  return element('span', {}, name, element('p', { className: 'failure bad' }, failure));
}
