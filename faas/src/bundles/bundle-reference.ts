import { AxleError } from 'axle';

/** Names of functions become host names of some tools: a DNS label. */
const functionName = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const tagName = /^\w[\w.-]{0,127}$/;
const tagDefault = 'latest';
const shownMax = 100;

/** What a deployment's `image` names: a bundle that was pushed. */
export interface BundleReference {
  readonly name: string;
  readonly tag: string;
}

export function isFunctionName(text: string): boolean {
  return functionName.test(text);
}

/** @throws AxleError INVALID_ARGUMENT */
export function checkFunctionName(name: string): void {
  if (isFunctionName(name)) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `${shown(name)} is no name of a function; give 1 to 63 of a-z, 0-9 and -, not at its ends`,
  );
}

/**
 * Reads NAME:TAG, or NAME for its latest.
 *
 * @throws AxleError INVALID_ARGUMENT, with a hint where it is an image of a registry.
 */
export function parseBundleReference(text: string): BundleReference {
  const at = text.lastIndexOf(':');
  const name = at < 0 ? text : text.slice(0, at);
  const tag = at < 0 ? tagDefault : text.slice(at + 1);
  if (isFunctionName(name) && tagName.test(tag)) return { name, tag };
  const advice = text.includes('/')
    ? 'images of registries are not run here; push the folder of the function with axle function push'
    : 'give NAME:TAG as axle function push prints it';
  throw new AxleError('INVALID_ARGUMENT', `${shown(text)} names no bundle; ${advice}`);
}

export function bundleLabel({ name, tag }: BundleReference): string {
  return `${name}:${tag}`;
}

function shown(text: string): string {
  return JSON.stringify(text.length > shownMax ? `${text.slice(0, shownMax)}...` : text);
}
