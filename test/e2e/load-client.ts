import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { expect, vi } from 'vitest';

const waitMs = 45_000;

export const loadClientScript = fileURLToPath(new URL('load-client.mjs', import.meta.url));

export type LoadOp = 'append' | 'reverse' | 'compress';

/** What a client under load counted. */
export interface LoadFigures {
  readonly answered: Readonly<Record<LoadOp, number>>;
  readonly wrong: number;
  readonly unknown: number;
  readonly failed: readonly string[];
  /** Between two answers of the same op. */
  readonly longestMs: Readonly<Record<LoadOp, number>>;
}

/** load-client.mjs in a process of its own. */
export class LoadClient {
  private constructor(
    readonly process: ChildProcess,
    /** Texts whose append was answered. */
    private readonly file: string,
  ) {}

  /** @param spawn runs Node with a channel for messages; default: as a child of this process */
  static async start(
    endpoint: string,
    name: string,
    file: string,
    { ops = 'append,reverse,compress', spawn = forked } = {},
  ): Promise<LoadClient> {
    const child = spawn([loadClientScript, endpoint, name, file, ops]);
    await once(child, 'message');
    return new LoadClient(child, file);
  }

  async figures(): Promise<LoadFigures> {
    const answer = once(this.process, 'message');
    this.process.send('figures');
    return ((await answer) as [LoadFigures])[0];
  }

  /** What is the longest between two answers is measured from now on. */
  forget(): void {
    this.process.send('forget');
  }

  /** So many more answers of each of these ops. */
  async more(count: number, ...ops: readonly LoadOp[]): Promise<void> {
    const { answered: before } = await this.figures();
    await vi.waitUntil(
      async () => {
        const { answered } = await this.figures();
        return ops.every((op) => answered[op] >= before[op] + count);
      },
      { timeout: waitMs },
    );
  }

  /** Ends it when all its calls are answered. */
  async stop(): Promise<LoadFigures> {
    const answer = once(this.process, 'message');
    this.process.send('stop');
    const [figures] = (await answer) as [LoadFigures];
    await once(this.process, 'exit');
    return figures;
  }

  get acknowledged(): readonly string[] {
    return existsSync(this.file) ? linesOf(this.file) : [];
  }
}

/**
 * That nothing was lost, done twice or answered wrong.
 *
 * @param clients all that ever called; of those that were killed, there are no figures
 * @param effects files that servers appended to
 */
export function expectNoHarm(
  clients: readonly LoadClient[],
  figures: readonly LoadFigures[],
  effects: readonly string[],
): string {
  const done = effects.flatMap(linesOf);
  const times = new Map<string, number>();
  for (const text of done) times.set(text, (times.get(text) ?? 0) + 1);
  const acknowledged = clients.flatMap((client) => client.acknowledged);
  const lost = acknowledged.filter((text) => !times.has(text));
  const twice = [...times].filter(([, count]) => count > 1);
  expect(lost, 'appends that were answered and have no effect').toEqual([]);
  expect(twice, 'appends that ran twice').toEqual([]);
  for (const { failed, wrong } of figures) {
    expect(failed, 'calls that could have run elsewhere, or again').toEqual([]);
    expect(wrong, 'wrong results').toBe(0);
  }
  const sum = (op: LoadOp) => figures.reduce((all, { answered }) => all + answered[op], 0);
  const unknown = figures.reduce((all, figure) => all + figure.unknown, 0);
  expect(acknowledged.length).toBeGreaterThan(0);
  return (
    `${sum('append')} appends, ${sum('reverse')} reversals, ${sum('compress')} compressions: ` +
    `0 lost, 0 twice, 0 wrong, ${unknown} reported as of unknown outcome`
  );
}

function forked([script = '', ...args]: readonly string[]): ChildProcess {
  return fork(script, args);
}

function linesOf(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n').filter(Boolean);
}
