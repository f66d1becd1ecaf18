import { AxleError } from 'axle';

/** Of what a link says, bytes. */
export const linkBytesMax = 1024;

/**
 * What a link of a bundle may say: a relative path, with `..` at its beginning only, that stays in the bundle. So it stays
 * there whatever other links of the bundle are on its way.
 *
 * @param path of the link, in the bundle
 * @throws AxleError INVALID_ARGUMENT naming it.
 */
export function checkLink(path: string, target: string): void {
  const segments = target.replace(/\/$/, '').split('/');
  const ups = segments.findIndex((each) => each !== '..');
  const rest = ups < 0 ? [] : segments.slice(ups);
  const depth = path.split('/').length - 1;
  const leaves = target.startsWith('/') || (ups < 0 ? segments.length : ups) > depth;
  if (leaves) {
    throw wrongLink(
      path,
      `leads out of the folder, to ${shown(target)}; put what it leads to in its place`,
    );
  }
  const isPlain =
    Buffer.byteLength(target) <= linkBytesMax &&
    !/[\0\\]/.test(target) &&
    rest.every((each, i) => (each !== '' && each !== '.' && each !== '..') || isHere(rest, i));
  if (isPlain) return;
  throw wrongLink(
    path,
    `leads to ${shown(target)}; write that as a path of at most ${linkBytesMax} bytes with .. at its beginning only`,
  );
}

/** `.` first, as in `./run.sh`, and alone. */
function isHere(segments: readonly string[], at: number): boolean {
  return at === 0 && segments[at] === '.';
}

function shown(target: string): string {
  return JSON.stringify(target.slice(0, 200));
}

function wrongLink(path: string, what: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', `the link ${shown(path)} ${what}`);
}
