/** Calls on disk at once, those that were given up included. */
export const queuedCallsMax = 10_000;
/** What they, their bodies and their answers take together, bytes. */
export const queuedBytesMax = 1024 ** 3;
/** Of one call's body, which is held in memory while it is accepted and while it runs. */
export const asyncBodyBytesMax = 6 * 1024 * 1024;
/** Of an answer that is kept for its callback. */
export const asyncAnswerBytesMax = 6 * 1024 * 1024;
/** Bodies that are being received, bytes, of all callers. */
export const asyncIncomingBytesMax = 256 * 1024 * 1024;
/** Of one function at once; callbacks of one function to one host likewise. */
export const asyncConcurrencyMax = 16;
/** Callbacks at once, of all functions. */
export const callbacksMax = 256;
/** Tries of the function, and then as many of its callback, before a call is given up. */
export const attemptsMax = 8;
export const callbackMs = 30_000;
export const callbackUrlMax = 2048;
/** Of calls that go to the disk together, unless one alone has more. */
export const groupBytesMax = 8 * 1024 * 1024;
/** Of what is written, and taken away again, to see whether the disk takes something. */
export const testRecordBytes = 4096;
/** Between two tries of a disk that takes nothing. */
export const reopenMsMax = 10_000;
