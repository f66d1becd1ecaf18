import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Files, and as which they were read. */
export type FileStates = ReadonlyMap<string, string>;

/** By which a change shows. */
export function fileState({ ino, size, mtimeMs, mode }: Stats): string {
  return `${ino} ${size} ${mtimeMs} ${mode}`;
}

/**
 * Notices that files changed, by looking at them: not all file systems tell, and a file is often replaced by another under
 * its name.
 */
export class FileWatch {
  private readonly timer: NodeJS.Timeout;
  private before: string;
  private looking = false;

  /** @param known as they were read */
  constructor(
    private known: FileStates,
    pollMs: number,
    private readonly onChange: () => void,
  ) {
    this.before = textOf(known);
    this.timer = setInterval(() => void this.look(), pollMs).unref();
  }

  /** They were read again, or others in their place. */
  read(known: FileStates): void {
    this.known = known;
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** Files that belong together are seldom written at once, so a change counts when it has lain still for a while. */
  private async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    const states = await statesOf([...this.known.keys()]);
    this.looking = false;
    const text = textOf(states);
    const settled = text === this.before;
    this.before = text;
    if (!settled || text === textOf(this.known)) return;
    this.known = states;
    this.onChange();
  }
}

async function statesOf(files: readonly string[]): Promise<FileStates> {
  const states = files.map(async (file): Promise<[string, string]> => {
    // What it means that it cannot be seen, reading it will say.
    return [file, await stat(file).then(fileState, () => 'unseen')];
  });
  return new Map(await Promise.all(states));
}

function textOf(states: FileStates): string {
  return [...states].flat().join('\n');
}
