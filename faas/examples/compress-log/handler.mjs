import { pipeline, Readable } from 'node:stream';

/** Up to here in one call, which tells what it took; longer logs go through as they come, in constant memory. */
const wholeBytesMax = 4 * 1024 * 1024;

/**
 * The body is anything, such as a log; the answer is it as gzip.
 *
 * @param {import('@axle/faas').FunctionEvent} event
 * @param {import('@axle/faas').FunctionContext} context
 */
export default async function compressLog(event, { axle, signal }) {
  const headers = { 'content-type': 'application/gzip' };
  const length = Number(event.headers['content-length'] ?? Infinity);
  if (length > wholeBytesMax) {
    const compressed = axle.compressStream({ codec: 'gzip', signal });
    // Not pipe: a caller who leaves in the middle is an error of both, which has to be somebody's. Here the body's reader gets it.
    const body = pipeline(Readable.from(event.body), compressed, () => undefined);
    return { status: 200, headers, body };
  }
  const { data, device, timingMs } = await axle.compress(await event.bytes(), {
    codec: 'gzip',
    signal,
  });
  const report = JSON.stringify({ device, timingMs });
  return { status: 200, headers: { ...headers, 'x-axle-report': report }, body: data };
}
