/** Longest that a Node timer waits, milliseconds; one that is set for longer fires at once. */
export const timerMsMax = 2 ** 31 - 1;
