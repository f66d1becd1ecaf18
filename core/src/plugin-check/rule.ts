import type { GivenArgs } from './given-args.js';

/** A shared library and the options that it is opened with. */
export interface CheckedPlugin {
  /** Absolute. */
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
  /** Arguments that its custom ops are tried with, by NAME or OP:NAME. */
  readonly args?: GivenArgs;
}

/** Which plugin a rule is held against. */
export interface Subject extends CheckedPlugin {
  /** The plugin whose results are taken for right; absent: none. */
  readonly oracle?: CheckedPlugin;
  /** Absolute paths of models to try it on, beside those that are made in code. */
  readonly models?: readonly string[];
}

/** One thing that plugin.h asks for. `check` throws RuleBroken, or RuleSkipped when it does not apply. */
export interface Rule {
  readonly id: string;
  /** What a sound plugin does, in one line. */
  readonly title: string;
  /** Whether it looks at the oracle, where there is one. */
  readonly usesOracle?: boolean;
  readonly check: (subject: Subject) => Promise<void>;
}

export class RuleBroken extends Error {}

export class RuleSkipped extends Error {}

/** Counts what of several things a rule could be tried on. */
export class Attempts {
  private made = 0;
  private refusal: string | undefined;

  /** @param none why the rule does not apply when there is nothing to try. */
  constructor(private readonly none: string) {}

  /** @param refusal why this one cannot be tried; undefined = it was. */
  add(refusal: string | undefined): void {
    if (refusal === undefined) this.made++;
    else this.refusal ??= refusal;
  }

  /** @throws RuleSkipped when nothing was tried. */
  check(): void {
    if (this.made === 0) skipped(this.refusal ?? this.none);
  }
}

/** @throws RuleBroken */
export function broken(message: string): never {
  throw new RuleBroken(message);
}

/** @throws RuleSkipped */
export function skipped(message: string): never {
  throw new RuleSkipped(message);
}
