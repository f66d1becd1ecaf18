/**
 * For tests and comparisons: `AXLE_DIRECT_CALLS=off` sends every call the ordinary way; `early` sends past it all that ever
 * may go, from the first call on, whatever it costs and whoever else is there.
 */
export type DirectCallsMode = 'on' | 'off' | 'early';

export function directCallsMode(): DirectCallsMode {
  const mode = process.env['AXLE_DIRECT_CALLS'];
  return mode === 'off' || mode === 'early' ? mode : 'on';
}
