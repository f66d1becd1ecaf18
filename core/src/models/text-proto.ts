import { AxleError } from '../errors.js';

/**
 * A message in protobuf's text format, without a schema: each field's values in order of appearance.
 * Grammar: protobuf.dev, "Text Format Language Specification" (extensions and Any are not needed here).
 */
export type TextMessage = ReadonlyMap<string, readonly TextValue[]>;

export type TextValue =
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number }
  /** Enum values, true and false. */
  | { readonly kind: 'word'; readonly value: string }
  | { readonly kind: 'message'; readonly value: TextMessage };

const nestingMax = 32;
const tokenPattern =
  /([A-Za-z_][A-Za-z0-9_.]*)|([-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)[fFuU]?)|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|([{}[\]:<>,;])/y;
const blankPattern = /[ \t\r\n]+|#[^\n]*/y;

type Token =
  | {
      readonly kind: 'word' | 'number' | 'string' | 'mark';
      readonly text: string;
      readonly at: number;
    }
  | { readonly kind: 'end'; readonly text: ''; readonly at: number };

/** @throws AxleError INVALID_ARGUMENT naming `fileName` and the line. */
export function parseTextProto(text: string, fileName: string): TextMessage {
  // Some editors begin a file with the mark of its encoding.
  return new Parser(text.replace(/^\ufeff/, ''), fileName).parse();
}

class Parser {
  private token: Token;
  private position = 0;

  constructor(
    private readonly text: string,
    private readonly fileName: string,
  ) {
    this.token = this.scan();
  }

  parse(): TextMessage {
    const message = this.message(0);
    if (this.token.kind !== 'end') throw this.error(`unexpected '${this.token.text}'`);
    return message;
  }

  private message(depth: number): TextMessage {
    if (depth > nestingMax) throw this.error(`nested deeper than ${nestingMax} messages`);
    const fields = new Map<string, TextValue[]>();
    while (this.token.kind === 'word') {
      const name = this.next().text;
      const values = fields.get(name) ?? [];
      fields.set(name, values);
      this.fieldValues(values, depth);
      this.skipSeparator();
    }
    return fields;
  }

  private fieldValues(into: TextValue[], depth: number): void {
    const colon = this.take(':');
    if (!this.take('[')) {
      if (!colon && !this.isMark('{') && !this.isMark('<')) throw this.error("expected ':' or '{'");
      into.push(this.value(depth));
      return;
    }
    while (!this.take(']')) {
      into.push(this.value(depth));
      this.skipSeparator();
    }
  }

  private skipSeparator(): void {
    if (!this.take(',')) this.take(';');
  }

  private value(depth: number): TextValue {
    if (this.take('{')) return this.nested('}', depth);
    if (this.take('<')) return this.nested('>', depth);
    if (this.token.kind === 'string') return { kind: 'string', value: this.strings() };
    if (this.token.kind === 'number') {
      return { kind: 'number', value: numberOf(this.next().text) };
    }
    if (this.token.kind === 'word') return { kind: 'word', value: this.next().text };
    throw this.error(
      this.token.kind === 'end' ? 'the file ends too early' : `unexpected '${this.token.text}'`,
    );
  }

  private nested(close: string, depth: number): TextValue {
    const value = this.message(depth + 1);
    if (!this.take(close)) throw this.error(`expected '${close}'`);
    return { kind: 'message', value };
  }

  /** Strings side by side are one; escapes are bytes of UTF-8, and a character's may be spread over several. */
  private strings(): string {
    const parts: Buffer[] = [];
    while (this.token.kind === 'string') parts.push(unescapeBytes(this.next().text.slice(1, -1)));
    return Buffer.concat(parts).toString('utf8');
  }

  private isMark(mark: string): boolean {
    return this.token.kind === 'mark' && this.token.text === mark;
  }

  private take(mark: string): boolean {
    if (!this.isMark(mark)) return false;
    this.next();
    return true;
  }

  private next(): Token {
    const token = this.token;
    this.token = this.scan();
    return token;
  }

  private scan(): Token {
    this.skipBlanks();
    tokenPattern.lastIndex = this.position;
    const match = tokenPattern.exec(this.text);
    if (match !== null) {
      this.position = tokenPattern.lastIndex;
      const [, word, number, string, mark] = match;
      const text = word ?? number ?? string ?? mark ?? '';
      const kind = word ? 'word' : number ? 'number' : string ? 'string' : 'mark';
      return { kind, text, at: this.position - text.length };
    }
    const at = this.position;
    if (at < this.text.length) {
      this.token = { kind: 'end', text: '', at };
      throw this.error(`unexpected '${this.text[at] ?? ''}'`);
    }
    return { kind: 'end', text: '', at };
  }

  /** Spaces and comments one by one: a single pattern for any number of them would backtrack into the comments. */
  private skipBlanks(): void {
    for (;;) {
      blankPattern.lastIndex = this.position;
      if (!blankPattern.test(this.text)) return;
      this.position = blankPattern.lastIndex;
    }
  }

  private error(what: string): AxleError {
    const line = this.text.slice(0, this.token.at).split('\n').length;
    return new AxleError('INVALID_ARGUMENT', `${this.fileName} line ${line}: ${what}`);
  }
}

const numberPattern = /^([-+]?)(0[xX][0-9a-fA-F]+|.*?)[fFuU]?$/;

/** Of a token; as in C, digits behind a 0 are octal. */
function numberOf(text: string): number {
  const [, sign, digits = ''] = numberPattern.exec(text) ?? [];
  const size = /^0[0-7]+$/.test(digits) ? parseInt(digits, 8) : Number(digits);
  return sign === '-' ? -size : size;
}

const simpleEscapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
};

const escapePattern =
  /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))|[^\\]+/g;
const codePointMax = 0x10ffff;

function unescapeBytes(text: string): Buffer {
  const parts: Buffer[] = [];
  for (const [plain, hex, octal, short, long, other] of text.matchAll(escapePattern)) {
    const byte = hex !== undefined ? parseInt(hex, 16) : octal && parseInt(octal, 8) & 0xff;
    const codePoint = parseInt(short ?? long ?? '', 16);
    if (typeof byte === 'number') parts.push(Buffer.of(byte));
    else if (codePoint <= codePointMax) parts.push(Buffer.from(String.fromCodePoint(codePoint)));
    else if (other !== undefined) parts.push(Buffer.from(simpleEscapes[other] ?? other));
    else if (!plain.startsWith('\\')) parts.push(Buffer.from(plain));
  }
  return Buffer.concat(parts);
}
