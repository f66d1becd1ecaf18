import type { FunctionReport, StartFailure } from '../../calls/served-function.js';
import type { Deployment } from '../../functions/deployment.js';
import { functionNamespace } from '../../functions/deployment-request.js';

/** A function in OpenFaaS's JSON. */
export function functionStatus(
  deployment: Deployment,
  report: FunctionReport | undefined,
  failure: StartFailure | undefined,
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
    createdAt,
    invocationCount: report?.invocationCount ?? 0,
    replicas: report?.instances ?? 0,
    availableReplicas: report?.ready ?? 0,
    // Not of OpenFaaS, whose clients pass both over: the ready ones of what was deployed last, and why there are none.
    updatedReplicas: report?.updated ?? 0,
    ...(failure === undefined ? {} : { failure }),
    ...(withUsage ? { usage: usageOf(report) } : {}),
  };
}

/** One of which nothing is known but that it does not run. */
export function brokenStatus(name: string, failure: StartFailure): unknown {
  return {
    ...{ name, image: '', namespace: functionNamespace, createdAt: failure.at.toISOString() },
    ...{ invocationCount: 0, replicas: 0, availableReplicas: 0, updatedReplicas: 0, failure },
  };
}

/** As OpenFaaS has it: thousandths of a processor, and bytes. */
function usageOf(report: FunctionReport | undefined) {
  const { cpus = 0, memoryBytes: totalMemoryBytes = 0 } = report ?? {};
  return { cpu: Math.round(cpus * 1000), totalMemoryBytes };
}
