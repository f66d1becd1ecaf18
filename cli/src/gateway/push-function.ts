import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { FileError, fileFailure } from '../failure.js';
import { Progress } from '../progress.js';
import type { GatewayClient } from './gateway-client.js';

export interface PushedFunction {
  readonly name: string;
  readonly tag: string;
  readonly id: string;
  readonly files: number;
  /** That were not there yet. */
  readonly sentBytes: number;
}

/** Contents go again where another command threw them away between. */
const tries = 2;

/** @throws FileError, AxleError as `readBundleFiles` and the front end. */
export async function pushFunction(
  client: GatewayClient,
  folder: string,
  tag: string,
  signal: AbortSignal,
): Promise<PushedFunction> {
  const {
    bundleFileContent,
    bundleLabel,
    checkCommandFile,
    manifestFile,
    parseBundleReference,
    parseFunctionManifest,
    readBundleFiles,
  } = await import('@axle/faas');
  let manifest: string;
  try {
    manifest = await readFile(join(folder, manifestFile), 'utf8');
  } catch (error) {
    const failure = fileFailure(error, join(folder, manifestFile));
    if (!(failure instanceof FileError)) throw failure;
    throw new FileError(failure.code, `${failure.message}; axle function new ${folder} makes one`);
  }
  const parsed = parseFunctionManifest(manifest);
  const { name } = parsed;
  // Before anything is sent.
  parseBundleReference(bundleLabel({ name, tag }));
  const files = await readBundleFiles(folder);
  checkCommandFile(parsed, files);
  const path = `/axle/v1/bundles/tags/${encodeURIComponent(bundleLabel({ name, tag }))}`;
  let sentBytes = 0;
  for (let left = tries; ; left -= 1) {
    const { missing } = await client.json<{ missing: string[] }>(
      'POST',
      '/axle/v1/bundles/missing',
      signal,
      { files },
    );
    const wanted = new Set(missing);
    const toSend = files.filter(({ sha256 }) => wanted.delete(sha256));
    const progress = new Progress({
      label: name,
      total: toSend.reduce((sum, { bytes }) => sum + bytes, 0),
      unit: 'bytes',
    });
    try {
      for (const file of toSend) {
        const body = await bundleFileContent(folder, file);
        await client.send('PUT', `/axle/v1/bundles/blobs/${file.sha256}`, { body, signal });
        progress.advance(file.bytes);
        sentBytes += file.bytes;
      }
      const { id } = await client.json<{ id: string }>('PUT', path, signal, { files });
      return { name, tag, id, files: files.length, sentBytes };
    } catch (error) {
      if (left <= 1 || !(error instanceof FileError) || error.code !== 'FAILED_PRECONDITION')
        throw error;
    } finally {
      progress.stop();
    }
  }
}
