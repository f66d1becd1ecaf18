import { writeSync } from 'node:fs';
import type { WriteStream } from 'node:tty';

/** DEC private modes, as every terminal of today has them: 1049 the other screen, 25 the cursor. */
const enter = '\u001b[?1049h\u001b[?25l';
const leave = '\u001b[?25h\u001b[?1049l';
const home = '\u001b[H';
/** To the end of the line, and of the screen. */
const clearLine = '\u001b[K';
const clearBelow = '\u001b[J';
const defaultColumns = 80;
const defaultRows = 24;
const standardOutput = 1;

/** The terminal on standard output, which shows one picture after another, and what was there before when it ends. */
export class LiveScreen {
  private isOpen = true;
  private readonly onExit = () => {
    this.close();
  };

  /** @param onResize told when the size changes */
  constructor(
    private readonly terminal: WriteStream,
    private readonly onResize: () => void,
  ) {
    terminal.write(enter);
    terminal.on('resize', onResize);
    // Even where a second signal ends the process at once.
    process.once('exit', this.onExit);
  }

  get columns(): number {
    return this.terminal.columns || defaultColumns;
  }

  get rows(): number {
    return this.terminal.rows || defaultRows;
  }

  /** Drawn over what is there, so that nothing flickers. @param picture of at most `rows` lines that end */
  show(picture: string): void {
    if (!this.isOpen) return;
    const lines = picture.trimEnd().split('\n');
    this.terminal.write(`${home}${lines.join(`${clearLine}\n`)}${clearLine}${clearBelow}`);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    process.off('exit', this.onExit);
    this.terminal.off('resize', this.onResize);
    try {
      writeSync(standardOutput, leave);
    } catch {
      // The terminal is gone, and nobody looks at it any more.
    }
  }
}
