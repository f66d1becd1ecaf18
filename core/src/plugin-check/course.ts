import type { CheckReport, CheckVerdict, FailureCause } from './check-child.js';

/** For each rule after one that hung: most hang as well, and each would take its whole time. */
const timeoutMsAfterHang = 3000;

const howLoadingEnds: Readonly<Record<FailureCause, string | undefined>> = {
  result: 'it does not load',
  crash: 'it crashes as it is loaded and closed',
  exit: 'it ends the process as it is loaded and closed',
  hang: 'it hangs as it is loaded and closed',
  // It loads all the same.
  contract: undefined,
};

/** What the rules so far tell of those that follow. */
export class Course {
  private unloadable: string | undefined;
  private hung: string | undefined;

  constructor(private readonly timeoutMsAtFirst: number) {}

  get timeoutMs(): number {
    if (this.hung === undefined) return this.timeoutMsAtFirst;
    return Math.min(this.timeoutMsAtFirst, timeoutMsAfterHang);
  }

  /** For a rule that needs not be tried. */
  notRun(): CheckReport | undefined {
    if (this.unloadable === undefined) return undefined;
    return { verdict: 'skip', reason: `not run: ${this.unloadable}`, tasks: {} };
  }

  add(
    rule: string,
    { tasks, ...verdict }: CheckReport,
    /** That the rule was given. */
    timeoutMs: number,
  ): { readonly verdict: CheckVerdict; readonly tasks: CheckReport['tasks'] } {
    if (verdict.verdict !== 'fail') return { verdict, tasks };
    const { cause } = verdict;
    if (rule === 'loads') this.unloadable = howLoadingEnds[cause];
    if (cause !== 'hang') return { verdict, tasks };
    if (this.hung !== undefined && timeoutMs < this.timeoutMsAtFirst) {
      const seconds = timeoutMs / 1000;
      const reason = `not at its end after ${seconds} s, and was given no longer because '${this.hung}' hung`;
      return { verdict: { verdict: 'skip', reason }, tasks };
    }
    this.hung ??= rule;
    return { verdict, tasks };
  }
}
