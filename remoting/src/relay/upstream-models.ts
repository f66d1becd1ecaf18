import { createHash } from 'node:crypto';

import { asAxleError, AxleError, LruMap, type Backend } from '@axle/core/internal';

import type { DescribedModel } from '../client/named-models.js';
import type { ListedModel, ServedModel } from '../server/models/server-models.js';
import { RelayBackend } from './relay-backend.js';
import { upstreamSources } from './upstream-sources.js';
import type { Upstreams } from './upstreams.js';

/** How long what a server said of a name is taken for true, milliseconds: after that another model may have it. */
const freshMs = 1000;
/** Names of all tenants that are remembered. */
const knownMax = 4096;

interface Known {
  readonly served: ServedModel;
  readonly readAt: number;
}

/** The models that the servers behind a relay have under names, as each tenant sees them there. */
export class UpstreamModels {
  private readonly read = new LruMap<string, Known>(knownMax);

  /** @param servers of several that have a name, the first one's model is meant */
  private constructor(private readonly servers: readonly Upstreams[]) {}

  /** Undefined: none of the backends relays to a server with names of its own. */
  static behind(backends: readonly Backend[]): UpstreamModels | undefined {
    const servers = backends.flatMap((backend) =>
      backend instanceof RelayBackend ? backend.servers : [],
    );
    const named = [...new Set(servers)].filter(({ hasNames }) => hasNames);
    return named.length === 0 ? undefined : new UpstreamModels(named);
  }

  /** At once, where it was asked for a moment ago. @param reference NAME or NAME:VERSION */
  known(tenant: string, reference: string): ServedModel | undefined {
    const known = this.read.get(keyOf(tenant, reference));
    return known === undefined || performance.now() - known.readAt > freshMs
      ? undefined
      : known.served;
  }

  /**
   * Undefined: no server has it for this tenant.
   *
   * @throws AxleError as a server that cannot be asked, or the model that it found.
   */
  async named(tenant: string, reference: string): Promise<ServedModel | undefined> {
    const known = this.known(tenant, reference);
    if (known !== undefined) return known;
    for (const server of this.servers) {
      const found = await server
        .of(tenant)
        .ask((names) => names.look(reference))
        .catch(unlessNone);
      if (found === undefined) continue;
      const served = servedBy(server, tenant, found);
      this.read.set(keyOf(tenant, reference), { served, readAt: performance.now() });
      return served;
    }
    return undefined;
  }

  /** By name and version, each name once. @throws AxleError as a server that cannot be asked. */
  async list(tenant: string): Promise<readonly ListedModel[]> {
    const listed: ListedModel[] = [];
    for (const server of this.servers) {
      const before = new Set(listed.map(({ name }) => name));
      const found = await server
        .of(tenant)
        .ask((names) => names.lookAtAll())
        .catch(unlessNone);
      for (const each of found ?? []) {
        if (!before.has(each.report.name)) listed.push(listedBy(server, tenant, each));
      }
    }
    return listed;
  }
}

function listedBy(server: Upstreams, tenant: string, found: DescribedModel): ListedModel {
  const { name, version, problem } = found.report;
  if (problem !== undefined) {
    return { name, version, found: new AxleError('FAILED_PRECONDITION', problem) };
  }
  return { name, version, found: servedBy(server, tenant, found) };
}

function servedBy(
  server: Upstreams,
  tenant: string,
  { report, model }: DescribedModel,
): ServedModel {
  const { name, version, bytes, labels } = report;
  const { contentId } = model.source;
  // The same name may stand for something else for another tenant, or on another server.
  const scoped = createHash('sha256')
    .update(JSON.stringify([tenant, server.name, name, version, contentId]))
    .digest('hex');
  const source = { ...model.source, contentId: scoped };
  upstreamSources.set(source, { server, report });
  return { name, version, contentId, bytes, entry: '', labels, model: { ...model, source } };
}

function keyOf(tenant: string, reference: string): string {
  return JSON.stringify([tenant, reference]);
}

/** A server that does not take the relay for this tenant has no models for it either. */
function unlessNone(error: unknown): undefined {
  const { code } = asAxleError(error);
  if (code === 'NOT_FOUND' || code === 'PERMISSION_DENIED' || code === 'UNAUTHENTICATED') {
    return undefined;
  }
  throw error;
}
