import { AxleError } from '@axle/core/internal';

/** A path that is there, asked for by a method that is not its own. */
export class WrongMethod extends AxleError {
  /** @param allowed its own, as the header Allow lists them */
  constructor(
    method: string,
    readonly allowed: readonly string[],
  ) {
    super('UNIMPLEMENTED', `${method} means nothing here; use ${allowed.join(' or ')}`);
  }
}
