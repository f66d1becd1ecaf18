import { AxleError, messageOf } from '@axle/core/internal';

type Check = RegExp | ((value: string) => boolean);

/** Reads an object of JSON key by key; what is missing, out of its range or not asked for is refused by its name. */
export class StrictObject {
  private readonly asked = new Set<string>();

  private constructor(
    private readonly values: Readonly<Record<string, unknown>>,
    /** What messages call it: a file, and the key within. */
    private readonly where: string,
  ) {}

  /** @throws AxleError INVALID_ARGUMENT */
  static parse(text: string, where: string): StrictObject {
    try {
      return StrictObject.of(JSON.parse(text), where);
    } catch (error) {
      if (error instanceof AxleError) throw error;
      // The message of V8 quotes the text, which may hold secrets.
      const [place = 'it ends too early or has a stray character'] =
        /at position \d+( \(line \d+ column \d+\))?/.exec(messageOf(error)) ?? [];
      throw new AxleError('INVALID_ARGUMENT', `${where} is no JSON: ${place}`);
    }
  }

  private static of(value: unknown, where: string): StrictObject {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new AxleError('INVALID_ARGUMENT', `${where} is not an object in braces`);
    }
    return new StrictObject(value as Readonly<Record<string, unknown>>, where);
  }

  get keys(): readonly string[] {
    return Object.keys(this.values);
  }

  has(key: string): boolean {
    this.asked.add(key);
    return Object.hasOwn(this.values, key);
  }

  text(key: string, check: Check, wanted: string): string {
    const value = this.take(key);
    if (typeof value !== 'string' || !passes(check, value)) throw this.wrong(key, wanted);
    return value;
  }

  nullable(key: string, check: Check, wanted: string): string | null {
    return this.take(key) === null ? null : this.text(key, check, `${wanted}, or null`);
  }

  texts(key: string, countMax: number, check: Check, wanted: string): readonly string[] {
    const value = this.take(key);
    const ok =
      Array.isArray(value) &&
      value.length <= countMax &&
      value.every((each) => typeof each === 'string' && passes(check, each));
    if (!ok) throw this.wrong(key, `an array of at most ${countMax}: ${wanted}`);
    return value as readonly string[];
  }

  wholeNumber(key: string, min: number, max: number): number {
    const value = this.take(key);
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      throw this.wrong(key, `a whole number from ${min} to ${max}`);
    }
    return value as number;
  }

  number(key: string, min: number, max: number): number {
    const value = this.take(key);
    if (typeof value !== 'number' || !(value >= min && value <= max)) {
      throw this.wrong(key, `a number from ${min} to ${max}`);
    }
    return value;
  }

  boolean(key: string): boolean {
    const value = this.take(key);
    if (typeof value !== 'boolean') throw this.wrong(key, 'true or false');
    return value;
  }

  object(key: string): StrictObject {
    return StrictObject.of(this.take(key), `${key} in ${this.where}`);
  }

  /** @throws AxleError INVALID_ARGUMENT for a key that nobody asked for. */
  end(): void {
    const strange = this.keys.find((key) => !this.asked.has(key));
    if (strange === undefined) return;
    const known = [...this.asked].join(', ');
    throw new AxleError(
      'INVALID_ARGUMENT',
      `${this.where}: '${strange}' means nothing; there are: ${known}`,
    );
  }

  refusal(key: string, what: string, wanted: string): AxleError {
    return new AxleError('INVALID_ARGUMENT', `${this.where}: '${key}' ${what}; give ${wanted}`);
  }

  private take(key: string): unknown {
    this.asked.add(key);
    return Object.hasOwn(this.values, key) ? this.values[key] : undefined;
  }

  private wrong(key: string, wanted: string): AxleError {
    const what = this.has(key) ? 'is not as it should be' : 'is missing';
    return this.refusal(key, what, wanted);
  }
}

function passes(check: Check, value: string): boolean {
  return check instanceof RegExp ? check.test(value) : check(value);
}
