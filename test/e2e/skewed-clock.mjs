// Preloaded into a server by tests (--import): its wall clock is AXLE_TEST_SKEW_MS off.
const skewMs = Number(process.env['AXLE_TEST_SKEW_MS'] ?? 0);
const RealDate = Date;

globalThis.Date = class extends RealDate {
  /** @param {[]} args */
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + skewMs);
    else super(...args);
  }

  static now() {
    return RealDate.now() + skewMs;
  }
};
