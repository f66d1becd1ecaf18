import { createHash, timingSafeEqual } from 'node:crypto';

import { AxleError } from 'axle';

/** Who may change and see what is deployed: one user with a password. */
export class BasicAuth {
  private readonly expected: Buffer;

  constructor(
    readonly user: string,
    password: string,
  ) {
    this.expected = hashOf(`${user}:${password}`);
  }

  /** @throws AxleError UNAUTHENTICATED */
  check(authorization: string | undefined): void {
    if (authorization === undefined) {
      throw AxleError.expected(
        'UNAUTHENTICATED',
        `give user ${this.user} and the password by basic auth`,
      );
    }
    if (this.matches(authorization)) return;
    throw AxleError.expected('UNAUTHENTICATED', 'wrong user or password');
  }

  /** Takes the same time for any text of a length. */
  matches(authorization: string): boolean {
    const [, encoded = ''] = /^Basic +([A-Za-z0-9+/]+=*)$/i.exec(authorization) ?? [];
    return timingSafeEqual(hashOf(Buffer.from(encoded, 'base64')), this.expected);
  }
}

function hashOf(text: string | Uint8Array): Buffer {
  return createHash('sha256').update(text).digest();
}
