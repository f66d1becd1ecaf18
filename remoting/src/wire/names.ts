import { wireLimits } from '../generated/wire.js';
import { isCleanName } from './text.js';

/** Why no frame can carry a name. Undefined: one can. */
export function unsayable(name: string): string | undefined {
  const bytes = Buffer.byteLength(name);
  if (bytes > wireLimits.nameBytesMax) {
    return `has a name of ${bytes} bytes; ${wireLimits.nameBytesMax} are the most`;
  }
  if (isCleanName(name)) return undefined;
  return 'has a name with control characters, or that is no Unicode text';
}
