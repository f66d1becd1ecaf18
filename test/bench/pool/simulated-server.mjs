// node simulated-server.mjs PREFIX DEVICES TENANT...: a server of simulated devices, on PREFIX-TENANT.sock for each tenant. For
// each line `slow N` its devices take N times as long from then on.
import '../no-telemetry.mjs';

import { createInterface } from 'node:readline';

import { startSimulated } from './simulated-servers.mjs';

const [prefix = '', devices = '1', ...tenants] = process.argv.slice(2);
const { backend, close } = await startSimulated(prefix, Number(devices), tenants);
console.log('ready');
for await (const line of createInterface(process.stdin)) {
  backend.slowness = Number(line.replace('slow ', ''));
  console.log('done');
}
await close();
