import type { LogLine } from '../instances/instance.js';
import { lineCharactersMax } from '../instances/printed-lines.js';

/** Kept of each function. */
export const logLinesMax = 2000;

type Listener = (line: LogLine) => void;

interface Book {
  readonly lines: LogLine[];
  readonly listeners: Set<Listener>;
}

/** The last lines that instances of each function printed, in memory. */
export class FunctionLogs {
  private readonly books = new Map<string, Book>();

  write(name: string, line: LogLine): void {
    const { text } = line;
    const cut =
      text.length > lineCharactersMax
        ? { ...line, text: `${text.slice(0, lineCharactersMax)}...` }
        : line;
    const { lines, listeners } = this.bookOf(name);
    lines.push(cut);
    // In large steps: taking one off the front of an array moves all others.
    if (lines.length >= 2 * logLinesMax) lines.splice(0, lines.length - logLinesMax);
    for (const listener of listeners) listener(cut);
  }

  /** The last ones, oldest first. @param tail how many; undefined: all that are kept */
  read(
    name: string,
    { tail, since }: { tail?: number | undefined; since?: Date | undefined } = {},
  ): LogLine[] {
    const lines = (this.books.get(name)?.lines ?? []).slice(-logLinesMax);
    const late = since === undefined ? lines : lines.filter(({ at }) => at >= since);
    return tail === undefined ? late : late.slice(Math.max(0, late.length - tail));
  }

  /** Tells of each line from now on. @returns stops it */
  follow(name: string, listener: Listener): () => void {
    const { listeners } = this.bookOf(name);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Those that follow go on: the function may come back. */
  forget(name: string): void {
    const book = this.books.get(name);
    if (book === undefined) return;
    book.lines.length = 0;
    if (book.listeners.size === 0) this.books.delete(name);
  }

  private bookOf(name: string): Book {
    let book = this.books.get(name);
    if (book === undefined) {
      book = { lines: [], listeners: new Set() };
      this.books.set(name, book);
    }
    return book;
  }
}
