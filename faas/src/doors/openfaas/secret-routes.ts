import { AxleError } from 'axle';

import { checkNamespace, functionNamespace } from '../../functions/deployment-request.js';
import type { Functions } from '../../functions/functions.js';
import { parseObject } from '../../json-fields.js';
import { secretBytesMax, type SecretStore } from '../../secrets/secret-store.js';
import { parameterOf, sendJson, sendText, type Exchange } from '../exchange.js';
import { readBody } from '../read-body.js';
import type { Route } from '../routes.js';

/** In base64, with escapes and a name. */
const bodyBytesMax = 2 * secretBytesMax + 4096;

export interface SecretRouteOptions {
  readonly secrets: SecretStore;
  readonly functions: Functions;
}

/** OpenFaaS's secrets: names go out, values only come in. */
export function secretRoutes({ secrets, functions }: SecretRouteOptions): readonly Route[] {
  const path = /^\/system\/secrets$/;
  return [
    {
      method: 'GET',
      path,
      handle(exchange) {
        checkNamespace(parameterOf(exchange, 'namespace'));
        sendJson(
          exchange,
          200,
          secrets.list().map((name) => ({ name, namespace: functionNamespace })),
        );
      },
    },
    {
      method: 'POST',
      path,
      async handle(exchange) {
        const { name, value } = await readSecret(exchange);
        await functions.createSecret(name, required(value));
        sendText(exchange, 201, '');
      },
    },
    {
      method: 'PUT',
      path,
      async handle(exchange) {
        const { name, value } = await readSecret(exchange);
        await functions.updateSecret(name, required(value));
        sendText(exchange, 202, '');
      },
    },
    {
      method: 'DELETE',
      path,
      async handle(exchange) {
        await functions.removeSecret((await readSecret(exchange)).name);
        sendText(exchange, 202, '');
      },
    },
  ];
}

async function readSecret({
  request,
}: Exchange): Promise<{ name: string; value: Buffer | undefined }> {
  const text = (await readBody(request, bodyBytesMax)).toString();
  // What JSON.parse quotes of a text that is no JSON may be of the value.
  if (!isJson(text))
    throw new AxleError('INVALID_ARGUMENT', 'the secret is no JSON: give { "name", "value" }');
  const { name, namespace, value, rawValue } = parseObject(text, 'the secret');
  checkNamespace(typeof namespace === 'string' && namespace !== '' ? namespace : undefined);
  if (typeof name !== 'string') throw new AxleError('INVALID_ARGUMENT', 'name is to be text');
  return { name, value: valueOf(value, rawValue) };
}

/** Empty counts as not there, as clients written in Go leave fields. */
function valueOf(value: unknown, rawValue: unknown): Buffer | undefined {
  const isThere = (each: unknown): boolean => each !== undefined && each !== null && each !== '';
  if (isThere(value) && isThere(rawValue))
    throw new AxleError('INVALID_ARGUMENT', 'the secret has value and rawValue; give one of them');
  if (isThere(rawValue)) {
    const bytes = typeof rawValue === 'string' ? base64Of(rawValue) : undefined;
    if (bytes === undefined) throw new AxleError('INVALID_ARGUMENT', 'rawValue is no base64');
    return bytes;
  }
  if (isThere(value) && typeof value !== 'string')
    throw new AxleError('INVALID_ARGUMENT', 'value is to be text');
  return typeof value === 'string' ? Buffer.from(value) : undefined;
}

/** Node passes over what is none. */
function base64Of(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function required(value: Buffer | undefined): Buffer {
  if (value !== undefined) return value;
  throw new AxleError(
    'INVALID_ARGUMENT',
    'the secret has no value: give value, or rawValue in base64',
  );
}
