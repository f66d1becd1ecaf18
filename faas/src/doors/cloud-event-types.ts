const escaped = '%[0-9A-Fa-f]{2}';
const inPath = String.raw`[\w.~!$&'()*+,;=:@/-]|${escaped}`;
const inFirst = String.raw`[\w.~!$&'()*+,;=@-]|${escaped}`;
const inAuthority = String.raw`[\w.~!$&'()*+,;=:@[\]-]|${escaped}`;
const inRest = String.raw`[\w.~!$&'()*+,;=:@/?-]|${escaped}`;
/** RFC 3986, 4.1: with a scheme, or such that its first segment cannot be taken for one. */
const uriReference = new RegExp(
  '^(?:' +
    `[A-Za-z][A-Za-z0-9+.-]*:(?://(?:${inAuthority})*(?=[/?#]|$))?(?:${inPath})*` +
    `|//(?:${inAuthority})*(?=[/?#]|$)(?:${inPath})*` +
    `|(?!//)(?:${inFirst})*(?=[/?#]|$)(?:${inPath})*` +
    `)(?:\\?(?:${inRest})*)?(?:#(?:${inRest})*)?$`,
);
const timestamp = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-](\d\d):(\d\d))$/i;

export function isUriReference(text: string): boolean {
  return text !== '' && uriReference.test(text);
}

/** RFC 3339, 5.6. A leap second is one wherever it is. */
export function isTimestamp(text: string): boolean {
  const found = timestamp.exec(text);
  if (found === null) return false;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found
    .slice(1, 7)
    .map(Number);
  const [offsetHour, offsetMinute] = [Number(found[7] ?? 0), Number(found[8] ?? 0)];
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return false;
  return hour < 24 && minute < 60 && second <= 60 && offsetHour < 24 && offsetMinute < 60;
}

function daysOf(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (month === 2) return isLeap ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}
