import type { Deployment } from '../../functions/deployment.js';
import { functionNamespace } from '../../functions/deployment-request.js';
import type { FunctionStatus } from '../../functions/function-host.js';

/** A function in OpenFaaS's JSON. */
export function functionStatus(
  deployment: Deployment,
  { replicas, availableReplicas, usage }: FunctionStatus,
  invocationCount: number,
  withUsage: boolean,
): unknown {
  const { name, image, environment, secrets, labels, annotations, memoryMiB, createdAt } =
    deployment;
  return {
    ...{
      name,
      image,
      namespace: functionNamespace,
      envVars: environment,
      secrets,
      labels,
      annotations,
    },
    limits: { memory: `${memoryMiB}Mi` },
    ...{ createdAt, invocationCount, replicas, availableReplicas },
    ...(withUsage && usage !== undefined
      ? { usage: { cpu: usage.cpuMillis, totalMemoryBytes: usage.memoryBytes } }
      : {}),
  };
}
