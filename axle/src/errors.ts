// What Axle throws, without Axle: for programs that start often and need the rest only sometimes.
export { AxleError, errorCodeOf } from '@axle/core/errors';
export type { AxleErrorOptions } from '@axle/core/errors';
