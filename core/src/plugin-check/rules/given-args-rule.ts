import { givenArgsProblem } from '../given-args.js';
import { broken, type Rule } from '../rule.js';
import { withPlugin } from '../trials.js';

/** What the reason begins with when the arguments are wrong, and not the plugin. */
export const givenArgsRefused = 'given arguments: ';

/** Of the arguments, not of the plugin: it is tried before the others, and no result of its own is told. */
export const givenArgsRule: Rule = {
  id: 'given-args',
  title: 'describes the arguments that are given, of the types that their values have',
  check: (subject) =>
    withPlugin(subject, ({ info }) => {
      const problem = givenArgsProblem(info.ops, subject.args ?? {});
      if (problem !== undefined) broken(`${givenArgsRefused}${problem}`);
      return Promise.resolve();
    }),
};
