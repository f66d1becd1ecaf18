import { AxleError } from 'axle';

import type { BundleFile } from '../../bundles/bundle-files.js';
import { bundleBytesMax, bundleFilesMax } from '../../bundles/bundle-files.js';
import { parseBundleReference } from '../../bundles/bundle-reference.js';
import type { BundleStore } from '../../bundles/bundle-store.js';
import type { Functions } from '../../functions/functions.js';
import { objectOf, parseObject } from '../../json-fields.js';
import { fileListBytesMax } from '../door-limits.js';
import { sendJson, type Exchange } from '../exchange.js';
import { bodyOf, checkLength, readBody } from '../read-body.js';
import type { Route } from '../routes.js';

export interface BundleRouteOptions {
  readonly bundles: BundleStore;
  readonly functions: Functions;
}

/** How functions come here: which contents are missing, those contents, and then a name for all of them. */
export function bundleRoutes({ bundles, functions }: BundleRouteOptions): readonly Route[] {
  return [
    {
      method: 'POST',
      path: /^\/axle\/v1\/bundles\/missing$/,
      async handle(exchange) {
        sendJson(exchange, 200, { missing: await bundles.missing(await filesOf(exchange)) });
      },
    },
    {
      method: 'PUT',
      path: /^\/axle\/v1\/bundles\/blobs\/([0-9a-f]{64})$/,
      async handle(exchange, [, sha256 = '']) {
        checkLength(exchange.request, bundleBytesMax);
        await bundles.putBlob(sha256, bodyOf(exchange.request, bundleBytesMax));
        sendJson(exchange, 201, { sha256 });
      },
    },
    {
      method: 'PUT',
      path: /^\/axle\/v1\/bundles\/tags\/([^/]+)$/,
      async handle(exchange, [, label = '']) {
        const reference = parseBundleReference(decoded(label));
        const id = await bundles.tag(reference, await filesOf(exchange));
        sendJson(exchange, 200, { ...reference, id });
      },
    },
    {
      method: 'GET',
      path: /^\/axle\/v1\/bundles$/,
      handle: async (exchange) => sendJson(exchange, 200, await bundles.list()),
    },
    {
      method: 'DELETE',
      path: /^\/axle\/v1\/bundles\/tags\/([^/]+)$/,
      async handle(exchange, [, label = '']) {
        const reference = parseBundleReference(decoded(label));
        await bundles.untag(reference);
        await functions.collect();
        sendJson(exchange, 200, reference);
      },
    },
  ];
}

async function filesOf({ request }: Exchange): Promise<BundleFile[]> {
  const { files } = parseObject(
    (await readBody(request, fileListBytesMax)).toString(),
    'the list of files',
  );
  if (!Array.isArray(files) || files.length > bundleFilesMax) {
    throw new AxleError('INVALID_ARGUMENT', `files is to be a list of at most ${bundleFilesMax}`);
  }
  return files.map(fileOf);
}

/** What the store checks is left to it. */
function fileOf(value: unknown): BundleFile {
  const { path, bytes, executable, sha256, link } = objectOf(value, 'a file');
  if (
    typeof path === 'string' &&
    typeof bytes === 'number' &&
    typeof executable === 'boolean' &&
    typeof sha256 === 'string' &&
    (link === undefined || typeof link === 'boolean')
  ) {
    return { path, bytes, executable, sha256, ...(link === true ? { link } : {}) };
  }
  throw new AxleError(
    'INVALID_ARGUMENT',
    'a file is { path, bytes, executable, sha256 }, a link has { link: true } besides',
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AxleError('INVALID_ARGUMENT', 'the path has a % that stands for nothing');
  }
}
