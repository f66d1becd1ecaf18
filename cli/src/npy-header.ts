import { FileError } from './failure.js';

/** What numpy writes before the elements: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`. */
export interface NpyHeader {
  /** numpy's array-protocol type string. */
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/** numpy's own limit is 64. */
const dimensionsMax = 64;

/**
 * Reads the header, which is a literal of Python and no more: one dictionary of three known keys. Nothing is evaluated.
 *
 * @throws FileError INVALID_ARGUMENT on anything that numpy would not have written.
 */
export function parseNpyHeader(text: string): NpyHeader {
  return new HeaderParser(text).parse();
}

/** The same as numpy writes it. */
export function formatNpyHeader(header: NpyHeader): string {
  const shape =
    header.shape.length === 1 ? `(${header.shape[0]},)` : `(${header.shape.join(', ')})`;
  const order = header.fortranOrder ? 'True' : 'False';
  return `{'descr': '${header.descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
}

class HeaderParser {
  private position = 0;

  constructor(private readonly text: string) {}

  parse(): NpyHeader {
    let descr: string | undefined;
    let fortranOrder: boolean | undefined;
    let shape: readonly number[] | undefined;
    this.expect('{');
    while (!this.accept('}')) {
      const key = this.string();
      this.expect(':');
      if (key === 'descr' && descr === undefined) descr = this.descr();
      else if (key === 'fortran_order' && fortranOrder === undefined) fortranOrder = this.boolean();
      else if (key === 'shape' && shape === undefined) shape = this.tuple();
      else throw this.wrong(`'${key}' where descr, fortran_order and shape come once each`);
      if (!this.accept(',') && !this.sees('}')) throw this.wrong("no ',' or '}' after a value");
    }
    this.skipSpace();
    if (this.position < this.text.length) throw this.wrong('something after the dictionary');
    if (descr === undefined || fortranOrder === undefined || shape === undefined) {
      throw this.wrong('descr, fortran_order or shape is missing');
    }
    return { descr, fortranOrder, shape };
  }

  private descr(): string {
    if (this.sees('[')) {
      throw new FileError(
        'INVALID_ARGUMENT',
        'it holds a structured array; save each field as an array of its own',
      );
    }
    return this.string();
  }

  private string(): string {
    this.skipSpace();
    const match = /^(?:'([^'\\\n]*)'|"([^"\\\n]*)")/.exec(this.text.slice(this.position));
    if (match === null) throw this.wrong('no string where one belongs');
    this.position += match[0].length;
    return match[1] ?? match[2] ?? '';
  }

  private boolean(): boolean {
    if (this.accept('True')) return true;
    if (this.accept('False')) return false;
    throw this.wrong('fortran_order is not True or False');
  }

  private tuple(): number[] {
    const sizes: number[] = [];
    this.expect('(');
    while (!this.accept(')')) {
      sizes.push(this.size());
      if (sizes.length > dimensionsMax) throw this.wrong(`more than ${dimensionsMax} dimensions`);
      const comma = this.accept(',');
      if (!comma && (!this.sees(')') || sizes.length === 1)) throw this.wrong("no ',' in shape");
    }
    return sizes;
  }

  private size(): number {
    this.skipSpace();
    // Python 2 wrote long integers with an L.
    const match = /^(\d{1,16})L?/.exec(this.text.slice(this.position, this.position + 20));
    const size = Number(match?.[1] ?? NaN);
    if (match === null || !Number.isSafeInteger(size))
      throw this.wrong('a size that is no whole number');
    this.position += match[0].length;
    return size;
  }

  private expect(token: string): void {
    if (!this.accept(token)) throw this.wrong(`no '${token}' where one belongs`);
  }

  private accept(token: string): boolean {
    if (!this.sees(token)) return false;
    this.position += token.length;
    return true;
  }

  private sees(token: string): boolean {
    this.skipSpace();
    return this.text.startsWith(token, this.position);
  }

  private skipSpace(): void {
    while (' \t\n'.includes(this.text[this.position] ?? '-')) this.position += 1;
  }

  private wrong(what: string): FileError {
    return new FileError(
      'INVALID_ARGUMENT',
      `its .npy header is damaged at ${this.position}: ${what}`,
    );
  }
}
