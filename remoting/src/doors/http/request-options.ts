import { AxleError } from '@axle/core/internal';

import { isText, numberOf, parseJson } from './json.js';

/** What the bodies of all requests but inferences may say, each of them some of it. */
export interface RequestOptions {
  /** Of an index. */
  readonly readyOnly: boolean;
  /** The first parameter of a load or unload. */
  readonly parameterName: string | undefined;
  /** Of a region of shared memory. */
  readonly key: string | undefined;
  readonly offset: number;
  readonly byteSize: number;
}

const nothing: RequestOptions = {
  readyOnly: false,
  parameterName: undefined,
  key: undefined,
  offset: 0,
  byteSize: NaN,
};

/** @throws AxleError INVALID_ARGUMENT, RESOURCE_EXHAUSTED */
export function readOptions(body: Uint8Array, bytesMax: number): RequestOptions {
  if (body.byteLength === 0) return nothing;
  const value = parseJson(body, bytesMax);
  if (typeof value !== 'object' || value === null) {
    throw new AxleError('INVALID_ARGUMENT', 'the body is no object of JSON');
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const { key, parameters } = fields;
  const [parameterName] = Object.keys(parameters ?? {});
  return {
    readyOnly: fields['ready'] === true,
    parameterName,
    key: isText(key) ? key : undefined,
    offset: fields['offset'] === undefined ? 0 : Number(numberOf(fields['offset']) ?? NaN),
    byteSize: Number(numberOf(fields['byte_size']) ?? NaN),
  };
}
