import { spawnSync } from 'node:child_process';

import { describe, expect, it } from 'vitest';

/** What a program of its own prints: whether it registers an SDK before it connects is what differs. */
function printed(register: string, env: Readonly<Record<string, string>> = {}): string {
  const program = `
    import { connect } from 'axle';
    ${register}
    const client = await connect();
    await client.compress(Buffer.from('x'));
    const cache = (await import('node:module')).createRequire(import.meta.url).cache;
    const isApi = (path) => path.includes('/@opentelemetry/api/');
    const spans = globalThis.exporter?.getFinishedSpans().length ?? 'no SDK';
    console.log(spans, Object.keys(cache).some(isApi));
    await client.close();
  `;
  const args = ['--input-type=module', '-e', program];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return `${stdout}${stderr}`;
}

const sdk = `
  import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
  globalThis.exporter = new InMemorySpanExporter();
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
`;

describe('connect', () => {
  it('enables tracing where an SDK is registered', () => {
    expect(printed(sdk)).toBe('2 true\n');
  });

  it('leaves it off where the environment says so', () => {
    const env = { OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'http,axle' };
    expect(printed(sdk, env)).toBe('0 true\n');
  });

  it('does not even load the API without an SDK', () => {
    expect(printed('')).toBe('no SDK false\n');
  });
});
