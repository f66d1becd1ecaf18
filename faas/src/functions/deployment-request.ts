import { AxleError } from 'axle';

import { checkFunctionName, parseBundleReference } from '../bundles/bundle-reference.js';
import type { FunctionManifest } from '../bundles/function-manifest.js';
import {
  objectOf,
  parseObject,
  textList,
  textOf,
  textsByName,
  type Fields,
} from '../json-fields.js';
import { secretName } from '../secrets/secret-store.js';
import type { Deployment } from './deployment.js';
import {
  inFlightMaxMax,
  labelsMax,
  labelTextMax,
  memoryMiBMax,
  memoryMiBMin,
  secretsOfFunctionMax,
  timeoutMsMax,
  variablesMax,
  variableTextMax,
} from './deployment-limits.js';
import { parseGoDuration } from './go-duration.js';
import { parseMemoryMiB } from './memory-quantity.js';
import { readScalingLabels } from './scaling-labels.js';

/** The one that there is. */
export const functionNamespace = 'openfaas-fn';

const shortTextMax = 1024;
const variables = {
  countMax: variablesMax,
  charactersMax: variableTextMax,
  name: /^[A-Za-z_]\w{0,127}$/,
};
const labels = { countMax: labelsMax, charactersMax: labelTextMax, name: /^[\w./-]{1,253}$/ };
/** What OpenFaaS's clients send; anything else is refused, since nobody would see that it does nothing. */
const known = new Set([
  ...['service', 'image', 'namespace', 'envProcess', 'envVars', 'constraints', 'secrets', 'labels'],
  ...['annotations', 'limits', 'requests', 'readOnlyRootFilesystem', 'network', 'registryAuth'],
]);

/** OpenFaaS's deployment in JSON, read and held against limits; what the bundle decides is still to come. */
export interface DeploymentRequest {
  readonly name: string;
  /** NAME:TAG. */
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly memoryMiB: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly inFlightMax: number | undefined;
  /** What of it does nothing here, for whoever deploys. */
  readonly notes: readonly string[];
}

/** @throws AxleError INVALID_ARGUMENT naming the field; UNIMPLEMENTED for protection that would be missing. */
export function parseDeploymentRequest(text: string): DeploymentRequest {
  const fields = parseObject(text, 'the deployment');
  const unknown = Object.keys(fields).find((name) => !known.has(name));
  if (unknown !== undefined)
    throw wrong(unknown, `is not known; there are ${[...known].join(', ')}`);
  const name = textOf(fields['service'], 'service', shortTextMax) ?? '';
  checkFunctionName(name);
  checkNamespace(textOf(fields['namespace'], 'namespace', shortTextMax));
  const image = textOf(fields['image'], 'image', shortTextMax);
  if (image === undefined) throw wrong('image', 'is to be NAME:TAG of a bundle that was pushed');
  parseBundleReference(image);
  if (fields['readOnlyRootFilesystem'] === true) {
    throw new AxleError(
      'UNIMPLEMENTED',
      'readOnlyRootFilesystem is not kept by instances that are processes; leave it out if the function does not rely on it',
    );
  }
  const notes: string[] = [];
  const environment = textsByName(fields['envVars'], 'envVars', variables);
  return {
    name,
    image,
    environment,
    secrets: textList(fields['secrets'], 'secrets', {
      countMax: secretsOfFunctionMax,
      entry: secretName,
    }),
    labels: textsByName(fields['labels'], 'labels', labels),
    annotations: textsByName(fields['annotations'], 'annotations', labels),
    memoryMiB: memoryOf(fields, notes),
    timeoutMs: timeoutOf(environment),
    inFlightMax: inFlightOf(environment),
    notes: [...notes, ...notesOn(fields)],
  };
}

/**
 * What runs, by the request and what the bundle says of itself.
 *
 * @param notes told what of the labels does nothing here.
 * @throws AxleError INVALID_ARGUMENT naming the label.
 */
export function deploymentOf(
  request: DeploymentRequest,
  bundle: { readonly id: string; readonly manifest: FunctionManifest },
  { createdAt, generation }: Pick<Deployment, 'createdAt' | 'generation'>,
  notes: string[],
): Deployment {
  const { manifest } = bundle;
  const { name, image, secrets, annotations, inFlightMax } = request;
  const concurrency = Math.min(manifest.concurrency, inFlightMax ?? Infinity);
  return {
    ...{ name, image, secrets, annotations, concurrency, createdAt, generation },
    bundleId: bundle.id,
    environment: request.environment,
    labels: request.labels,
    memoryMiB: request.memoryMiB ?? manifest.memoryMiB,
    timeoutMs: request.timeoutMs ?? manifest.timeoutMs,
    scaling: readScalingLabels(request.labels, { concurrency, inFlightMax }, notes),
  };
}

/** @throws AxleError NOT_FOUND: there are no others. */
export function checkNamespace(namespace: string | undefined): void {
  if (namespace === undefined || namespace === functionNamespace) return;
  throw new AxleError(
    'NOT_FOUND',
    `there is no namespace ${JSON.stringify(namespace.slice(0, 100))}; ${functionNamespace} is the only one, or leave it out`,
  );
}

function memoryOf(fields: Fields, notes: string[]): number | undefined {
  const { memory } = objectOf(fields['limits'] ?? {}, 'limits');
  const text = textOf(memory, 'limits.memory', shortTextMax);
  if (text === undefined) return undefined;
  const MiB = parseMemoryMiB(text);
  if (MiB === undefined || MiB === 0 || MiB > memoryMiBMax) {
    throw wrong('limits.memory', `takes a quantity such as 128Mi, of at most ${memoryMiBMax}Mi`);
  }
  if (MiB < memoryMiBMin) {
    notes.push(
      `limits.memory: an instance has at least ${memoryMiBMin}Mi, which it gets instead of ${text}`,
    );
  }
  return Math.max(MiB, memoryMiBMin);
}

/** As OpenFaaS's watchdog reads it. */
function timeoutOf({ exec_timeout: text }: Readonly<Record<string, string>>): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseGoDuration(text);
  if (ms !== undefined && ms > 0 && ms <= timeoutMsMax) return ms;
  throw wrong('envVars.exec_timeout', 'takes a time such as 30s, of more than 0 and at most 1h');
}

function inFlightOf({ max_inflight: text }: Readonly<Record<string, string>>): number | undefined {
  if (text === undefined || text === '0') return undefined;
  if (/^\d{1,6}$/.test(text) && Number(text) <= inFlightMaxMax) return Number(text);
  throw wrong('envVars.max_inflight', `takes a whole number of at most ${inFlightMaxMax}`);
}

function notesOn(fields: Fields): string[] {
  const notes: string[] = [];
  const say = (field: string, why: string) => notes.push(`${field} is not used: ${why}`);
  const { cpu, 'nvidia.com/gpu': gpu } = objectOf(fields['limits'] ?? {}, 'limits');
  if (cpu !== undefined && cpu !== '') say('limits.cpu', 'instances share the processors');
  if (gpu !== undefined)
    say('limits.nvidia.com/gpu', 'a function uses GPUs through its context.axle');
  if (Object.keys(objectOf(fields['requests'] ?? {}, 'requests')).length > 0) {
    say('requests', 'nothing is set aside for an instance');
  }
  if (textOf(fields['envProcess'], 'envProcess', shortTextMax) !== undefined) {
    say('envProcess', "the bundle's axle-function.json says what runs");
  }
  if (Array.isArray(fields['constraints']) && fields['constraints'].length > 0) {
    say('constraints', 'there is one machine');
  }
  for (const name of ['network', 'registryAuth']) {
    if (textOf(fields[name], name, labelTextMax) !== undefined)
      say(name, 'there is nothing like it here');
  }
  const environment = objectOf(fields['envVars'] ?? {}, 'envVars');
  for (const name of ['read_timeout', 'write_timeout']) {
    if (environment[name] !== undefined)
      say(`envVars.${name}`, 'exec_timeout is the time of a call');
  }
  return notes;
}

function wrong(field: string, what: string): AxleError {
  return new AxleError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(field.slice(0, 100)).slice(1, -1)} ${what}`,
  );
}
