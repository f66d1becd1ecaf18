/** Request line and headers, bytes, and how many headers. */
export const headerBytesMax = 32_768;
export const headersMax = 128;
export const headersMs = 10_000;
/** A whole request, of which the body goes to a function as it comes. */
export const requestMs = 3_600_000;
/** A body that is read before anything is done with it. */
export const wholeBodyMs = 60_000;
/** A connection without a request. */
export const idleMs = 65_000;
export const connectionsMax = 16_384;
/** Of one call that is waited for; it is never held as a whole. */
export const functionBodyBytesMax = 1024 ** 3;
/** Of JSON that is no deployment. */
export const jsonBytesMax = 64 * 1024;
/** A list of the files of a bundle. */
export const fileListBytesMax = 16 * 1024 * 1024;
/** Lines of a log that a slow reader has not taken, bytes; it is cut off then. */
export const logBacklogBytesMax = 4 * 1024 * 1024;
/** Followers of logs at once. */
export const logFollowersMax = 256;
export const callIdPattern = /^[\w-]{1,64}$/;
