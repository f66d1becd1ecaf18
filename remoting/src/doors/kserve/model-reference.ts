import { AxleError } from '@axle/core/internal';

import type { ServedModel, ServerModels } from '../../server/models/server-models.js';
import type { DoorClient } from '../door-clients.js';

/** A model that stays where it is until `release`. */
export interface FoundModel {
  readonly served: ServedModel;
  readonly release: () => void;
}

/** As `findModel`, at once, where that can be; undefined: it takes longer. */
export function knownModel(
  models: ServerModels,
  { tenant }: DoorClient,
  name: string,
  version: string,
): ServedModel | undefined {
  return models.known(tenant.name, version === '' ? name : `${name}:${version}`);
}

/**
 * The model that a request names, for its sender.
 *
 * @param version '' stands for the latest
 * @throws AxleError NOT_FOUND; INVALID_ARGUMENT for what is no version; as the model's files are.
 */
export async function findModel(
  models: ServerModels,
  { tenant }: DoorClient,
  name: string,
  version: string,
): Promise<FoundModel> {
  const reference = referenceOf(name, version);
  try {
    const { served, stored } = await models.named(tenant.name, reference);
    return {
      served,
      release: () => {
        if (stored !== undefined) models.store.unpin(stored);
      },
    };
  } catch (error) {
    if (!(error instanceof AxleError) || error.code !== 'NOT_FOUND') throw error;
    const which = version === '' ? '' : ` version ${version}`;
    throw new AxleError(
      'NOT_FOUND',
      `Request for unknown model: '${name}'${which} is not found (${error.message})`,
      { cause: error },
    );
  }
}

function referenceOf(name: string, version: string): string {
  if (name === '') throw new AxleError('INVALID_ARGUMENT', 'the request names no model');
  if (version === '') return name;
  if (/^[1-9]\d{0,15}$/.test(version)) return `${name}:${version}`;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `'${version.slice(0, 64)}' is no version of a model; give a whole number from 1 up, or none for the latest`,
  );
}
