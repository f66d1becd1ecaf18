/** What Lambda's clients know errors by: a status and a type. */
export class LambdaError extends Error {
  override readonly name = 'LambdaError';

  constructor(
    readonly status: number,
    readonly type: string,
    message: string,
  ) {
    super(message);
  }
}
