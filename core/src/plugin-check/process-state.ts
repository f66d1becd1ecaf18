import { readFileSync, readlinkSync } from 'node:fs';

/** What all of a process shares, or all that runs on the thread that calls submit, as text, by what it is. */
type ProcessState = ReadonlyMap<string, string>;

/** Those that are set from the start. */
const variables = Object.keys(process.env).sort();
const standardDescriptors = [0, 1, 2];

/** As things are now. */
export function processState(): ProcessState {
  return new Map([
    // process.cwd() remembers what it was.
    ['the working directory', readlinkSync('/proc/self/cwd')],
    // process.umask() would set it for a moment.
    ['the umask', statusFields('Umask')],
    ['the environment variables', environment()],
    ['what signals do', statusFields('SigIgn', 'SigCgt')],
    ['the signals that the calling thread blocks', statusFields('SigBlk')],
    ['the descriptors 0 to 2', standardDescriptors.map(targetOf).join(' ')],
    ['how the calling thread calculates', arithmetic()],
  ]);
}

/** What of it is another than before; undefined = nothing. */
export function stateChange(before: ProcessState): string | undefined {
  const changed = [...processState()].filter(([what, text]) => before.get(what) !== text);
  return changed.length === 0 ? undefined : changed.map(([what]) => what).join(', ');
}

/** A library of a plugin's may be told something by a variable that nobody has set. */
function environment(): string {
  return JSON.stringify(variables.map((name) => [name, process.env[name]]));
}

/** Of the first thread, which is this one. See proc_pid_status(5). */
function statusFields(...names: readonly string[]): string {
  const status = readFileSync('/proc/self/status', 'latin1');
  return names.map((name) => new RegExp(`^${name}:.*$`, 'm').exec(status)?.[0] ?? '').join(' ');
}

function targetOf(descriptor: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'closed';
    throw error;
  }
}

/** Rounding, and whether the least numbers count, as the processor is set. Read from memory, or the compiler calculates. */
function arithmetic(): string {
  const [one = 1, little = 0, least = 0] = Float64Array.of(1, 2 ** -60, Number.MIN_VALUE);
  return `${one + little === 1} ${one - little === 1} ${least / one > 0}`;
}
