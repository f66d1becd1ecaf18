import type { InstanceSetup } from '../handler/instance-setup.js';
import type { InstanceSpec } from './instance.js';

/** What an instance is told first. */
export function setupOf(
  { id, deployment, bundle, secrets, pool }: InstanceSpec,
  workFolder?: string,
): InstanceSetup {
  return {
    functionName: deployment.name,
    instance: id,
    folder: bundle.folder,
    workFolder,
    handler: bundle.manifest.handler ?? '',
    timeoutMs: deployment.timeoutMs,
    environment: { ...bundle.manifest.environment, ...deployment.environment },
    secrets: Object.fromEntries(
      [...secrets].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
    ),
    pool,
    models: bundle.manifest.models,
  };
}
