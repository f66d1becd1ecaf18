/** A shared library and the options that it is opened with. */
export interface CheckedPlugin {
  /** Absolute. */
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
}

/** Which plugin a rule is held against. */
export interface Subject extends CheckedPlugin {
  /** The plugin whose results are taken for right; absent: none. */
  readonly oracle?: CheckedPlugin;
}

/** One thing that plugin.h asks for. `check` throws RuleBroken, or RuleSkipped when it does not apply. */
export interface Rule {
  readonly id: string;
  /** What a sound plugin does, in one line. */
  readonly title: string;
  readonly check: (subject: Subject) => Promise<void>;
}

export class RuleBroken extends Error {}

export class RuleSkipped extends Error {}

/** @throws RuleBroken */
export function broken(message: string): never {
  throw new RuleBroken(message);
}

/** @throws RuleSkipped */
export function skipped(message: string): never {
  throw new RuleSkipped(message);
}
