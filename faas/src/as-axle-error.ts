import { AxleError } from 'axle';

const codeOfSystemError: Readonly<Record<string, AxleError['code']>> = {
  ENOSPC: 'RESOURCE_EXHAUSTED',
  EDQUOT: 'RESOURCE_EXHAUSTED',
  EFBIG: 'RESOURCE_EXHAUSTED',
  EMFILE: 'RESOURCE_EXHAUSTED',
  ENFILE: 'RESOURCE_EXHAUSTED',
};

const ofTheDisk: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Anything that was thrown. What is no AxleError is a fault of this process, of which callers are told no more than that. */
export function asAxleError(error: unknown): AxleError {
  if (error instanceof AxleError) return error;
  const { code = '', name } = error as NodeJS.ErrnoException;
  if (name === 'AbortError')
    return AxleError.expected('CANCELLED', 'nobody waits for the call any more');
  const known = codeOfSystemError[code];
  if (known !== undefined) {
    const place = ofTheDisk.has(code) ? 'no room on its disk' : 'no room for more open files';
    return new AxleError(known, `the front end has ${place} (${code}); its operator is to look`, {
      cause: error,
    });
  }
  return new AxleError('INTERNAL', 'the front end failed; its log has the reason', {
    cause: error,
  });
}
