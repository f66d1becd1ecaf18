import type { Rule } from './rule.js';
import { batchRules } from './rules/batches.js';
import { changingInputRules } from './rules/changing-inputs.js';
import { completingRules } from './rules/completing.js';
import { contentRules } from './rules/contents.js';
import { givenModelRules } from './rules/given-models.js';
import { modelRules } from './rules/models.js';
import { openingRules, reportingRules } from './rules/opening.js';
import { codecOracleRules } from './rules/oracle-codecs.js';
import { tensorOracleRules } from './rules/oracle-tensors.js';
import { rangeOracleRules, rangeRules } from './rules/ranges.js';
import { streamRules } from './rules/streams.js';
import { surroundingsRules } from './rules/surroundings.js';
import { threadRules } from './rules/threads.js';
import { taskRules } from './rules/tasks.js';

export { givenArgsRefused, givenArgsRule } from './rules/given-args-rule.js';

/** All rules, in the order in which they are checked: what others build on comes first. */
export const rules: readonly Rule[] = [
  ...openingRules,
  ...completingRules,
  ...reportingRules,
  ...taskRules,
  ...surroundingsRules,
  ...threadRules,
  ...contentRules,
  ...changingInputRules,
  ...batchRules,
  ...streamRules,
  ...modelRules,
  ...rangeRules,
  ...codecOracleRules,
  ...tensorOracleRules,
  ...rangeOracleRules,
  ...givenModelRules,
];
