import type { CheckReport } from './check-child.js';

/**
 * What comes over the channel: whenever the plugin's `close` begins or ends, which tasks are outstanding when that is
 * asked ('' = none), and at last the report.
 */
export type CheckMessage =
  CheckReport | { readonly closing: boolean } | { readonly outstanding: string };

/**
 * From the process of a rule, if this is one. Settles when the message is written: a rule that has much to tell waits for
 * a parent that is slow to listen, and what waits for that is lost when the channel is closed.
 */
export function tellParent(message: CheckMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) {
      resolve();
      return;
    }
    // A parent that is lost ends this process.
    process.send(message, undefined, undefined, () => {
      resolve();
    });
  });
}

/** What the process of a rule is asked when its time is over. */
export const outstandingQuestion = 'outstanding';
