import { deepStrictEqual, ok } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { parseFunctionManifest } from '../../dist/bundles/function-manifest.js';
import { deploymentOf, parseDeploymentRequest } from '../../dist/functions/deployment-request.js';
import {
  readStoredDeployment,
  writeStoredDeployment,
} from '../../dist/functions/stored-deployment.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

const bundle = {
  id: 'a'.repeat(64),
  manifest: parseFunctionManifest('{"name":"hello","handler":"h.mjs"}'),
};
const age = { createdAt: '2026-01-01T00:00:00.000Z', generation: 1 };

/** @param {string} text */
function parse(text) {
  return deploymentOf(parseDeploymentRequest(text), bundle, age, []);
}

/** @type {FuzzTarget} */
export const target = {
  about: 'deployments: one that is taken is within its limits, and the same when it was stored',
  run(bytes) {
    const deployment = onlyRefuses(() => parse(bytes.toString()));
    if (deployment === undefined) return;
    const { memoryMiB, timeoutMs, concurrency, scaling } = deployment;
    ok(memoryMiB >= 64 && memoryMiB <= 65_536);
    ok(timeoutMs > 0 && timeoutMs <= 3_600_000);
    ok(concurrency >= 1 && scaling.min <= scaling.max && scaling.max <= 1000 && scaling.idleMs > 0);
    const stored = writeStoredDeployment(deployment);
    deepStrictEqual(
      readStoredDeployment(stored, deployment.name),
      JSON.parse(JSON.stringify(deployment)),
    );
  },
  seeds: () => [
    Buffer.from('{"service":"hello","image":"hello:v1","limits":{"memory":"128Mi"}}'),
    Buffer.from(
      '{"service":"a","image":"a","labels":{"com.openfaas.scale.min":"0","com.openfaas.scale.zero":"true"}}',
    ),
    Buffer.from(
      '{"service":"a","image":"a","envVars":{"exec_timeout":"1m30s","max_inflight":"2"}}',
    ),
    Buffer.from('{"service":"a","image":"a","labels":{"com.openfaas.scale.zero-duration":"1.5h"}}'),
  ],
  dictionary: [
    ...[...'{}[]",:0123456789.', 'Ki', 'Gi', 'e9', 'ns', 'h', 'true', 'null', '__proto__'],
    ...[
      'com.openfaas.scale.',
      'max',
      'type',
      'rps',
      'capacity',
      'target',
      'secrets',
      'annotations',
    ],
  ],
};
