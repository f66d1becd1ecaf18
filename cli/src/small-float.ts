/** A binary floating-point format of IEEE 754 in at most 16 bits. */
export interface SmallFloat {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  /** Decimal digits that tell every value from its neighbours. */
  readonly digits: number;
}

export const float16: SmallFloat = { exponentBits: 5, mantissaBits: 10, digits: 5 };
export const bfloat16: SmallFloat = { exponentBits: 8, mantissaBits: 7, digits: 4 };

export function decodeSmallFloat(format: SmallFloat, bits: number): number {
  const { exponentBits, mantissaBits } = format;
  const fieldMax = 2 ** exponentBits - 1;
  const field = (bits >> mantissaBits) & fieldMax;
  const mantissa = bits & (2 ** mantissaBits - 1);
  const sign = (bits >> (exponentBits + mantissaBits)) & 1 ? -1 : 1;
  if (field === fieldMax) return mantissa === 0 ? sign * Infinity : NaN;
  const exponent = Math.max(field, 1) - 1 + exponentMin(format);
  const significand = field === 0 ? mantissa : mantissa + 2 ** mantissaBits;
  return sign * significand * 2 ** (exponent - mantissaBits);
}

/** The nearest value, ties to even; past the largest, infinity. */
export function encodeSmallFloat(format: SmallFloat, value: number): number {
  const { exponentBits, mantissaBits } = format;
  const infinity = (2 ** exponentBits - 1) * 2 ** mantissaBits;
  if (Number.isNaN(value)) return infinity + 2 ** (mantissaBits - 1);
  const sign = value < 0 || Object.is(value, -0) ? 2 ** (exponentBits + mantissaBits) : 0;
  const magnitude = Math.abs(value);
  if (magnitude === Infinity) return sign + infinity;
  if (magnitude === 0) return sign;
  const lowest = exponentMin(format);
  const exponent = Math.max(floorLog2(magnitude), lowest);
  const significand = roundToEven(magnitude / 2 ** (exponent - mantissaBits));
  // A significand that rounds up to the next power of two carries into the exponent, as it should.
  const bits = (exponent - lowest) * 2 ** mantissaBits + significand;
  return sign + Math.min(bits, infinity);
}

function exponentMin({ exponentBits }: SmallFloat): number {
  return 2 - 2 ** (exponentBits - 1);
}

function floorLog2(value: number): number {
  const guess = Math.floor(Math.log2(value));
  if (2 ** guess > value) return guess - 1;
  return 2 ** (guess + 1) <= value ? guess + 1 : guess;
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
