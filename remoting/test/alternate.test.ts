import { describe, expect, it } from 'vitest';

import { alternateOf, readAlternates } from '../src/client/alternate.js';

const unix = 'axle+unix:/run/b.sock';
const tls = 'axle+tls://b.example:7471';
const tcp = 'axle://b.example:7471';

describe('the alternate of a server that leaves', () => {
  it.each([
    { from: unix, to: tls, allowed: [tls], follows: true },
    { from: tls, to: unix, allowed: [unix], follows: true },
    { from: tcp, to: tcp, allowed: [tcp], follows: true },
    { from: tcp, to: tls, allowed: [tls], follows: true },
    // Protects less.
    { from: tls, to: tcp, allowed: [tcp], follows: false },
    { from: unix, to: tcp, allowed: [tcp], follows: false },
    // Not allowed.
    { from: unix, to: unix, allowed: [], follows: false },
    { from: unix, to: tls, allowed: ['axle+tls://c.example:7471'], follows: false },
    { from: unix, to: '', allowed: [unix], follows: false },
    { from: unix, to: 'http://b.example', allowed: [unix], follows: false },
  ])('from $from to $to with $allowed allowed: $follows', ({ from, to, allowed, follows }) => {
    const url = alternateOf(new URL(from), to, readAlternates(allowed));
    expect(url?.href).toBe(follows ? to : undefined);
  });

  it.each(['b.example', 'http://b.example', 'axle+unix:'])('cannot be %s', (url) => {
    expect(() => readAlternates([url])).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});
