import { createHash, createHmac } from 'node:crypto';

/** By the rules alone, without what is tested. */
export function signed(
  url: string,
  path: string,
  body: string,
  secret: string,
  more: Record<string, string> = {},
  at = new Date(),
): Record<string, string> {
  const date = at.toISOString().replace(/[-:]|\.\d+/g, '');
  const headers: Record<string, string> = {
    host: new URL(url).host,
    'x-amz-date': date,
    ...more,
  };
  const names = Object.keys(headers).sort();
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const lines = names.map((name) => `${name}:${headers[name]}`);
  const wire = path.replaceAll('%', '%25');
  const canonical = ['POST', wire, '', ...lines, '', names.join(';'), hash(body)].join('\n');
  const scope = `${date.slice(0, 8)}/eu-west-1/lambda/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', date, scope, hash(canonical)].join('\n');
  const hmac = (key: string | Buffer, data: string) =>
    createHmac('sha256', key).update(data).digest();
  const signature = hmac(scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secret}`), text);
  const said = `Credential=admin/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature.toString('hex')}`;
  return { ...headers, authorization: `AWS4-HMAC-SHA256 ${said}` };
}
