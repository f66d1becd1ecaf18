import type { CheckReport } from './check-child.js';

/**
 * What comes over the channel: whenever the plugin's `close` begins or ends, which tasks are outstanding when that is
 * asked ('' = none), and at last the report.
 */
export type CheckMessage =
  CheckReport | { readonly closing: boolean } | { readonly outstanding: string };

/** What the process of a rule is asked when its time is over. */
export const outstandingQuestion = 'outstanding';
