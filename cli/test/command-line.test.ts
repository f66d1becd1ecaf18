import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { runCli, temporaryFolder } from './run-cli.js';

const commands = [
  'devices',
  'models',
  'classify',
  'infer',
  'compress',
  'decompress',
  'perf',
  'plugin',
  'token',
  'top',
  'ca',
  'completion',
];

describe('axle', () => {
  it('prints its version', async () => {
    const { code, stdout } = await runCli(['--version']);
    expect(code).toBe(0);
    expect(stdout.toString()).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([[], ...commands.map((command) => [command])])(
    'shows help with examples for %s',
    async (...path) => {
      const { code, stdout, stderr } = await runCli([...path, '--help']);
      expect(code).toBe(0);
      expect(stderr).toBe('');
      expect(stdout.toString()).toMatch(/^Usage: axle/);
      expect(stdout.toString()).toContain('Examples:\n  $ ');
    },
  );

  it('loads neither core nor the image decoder for help, nor the decoder without an image', async () => {
    const help = await loadedBy(['--help']);
    expect(help.filter((path) => /\/core\/dist|\/remoting\/dist|sharp/.test(path))).toEqual([]);
    const devices = await loadedBy(['devices']);
    expect(devices.some((path) => path.includes('/core/dist/'))).toBe(true);
    expect(devices.filter((path) => /sharp|plugin-check|\/remoting\/dist/.test(path))).toEqual([]);
  });

  it.each([
    [['comprss'], /unknown command 'comprss'.*compress/],
    [['compress', '--lvel', '3', 'x'], /unknown option '--lvel'.*--level/],
    [['compress'], /missing required argument 'file'/],
    [['classify'], /missing required argument 'image'/],
    [['classify', '--top', '0', 'x'], /whole number from 1 to 1000/],
    [['classify', '--top', '1e3', 'x'], /whole number from 1 to 1000/],
    [['classify', '-', '-'], /standard input.*only once/],
    [['compress', '--codec', 'lzma', 'x'], /'lzma'.*zstd, lz4, gzip/],
    [['compress', '--level', 'high', 'x'], /whole number/],
    [['compress', '--level', '13', '--codec', 'gzip', 'x'], /gzip has levels 1 to 12, not 13/],
    [['decompress', 'x.txt'], /does not end in .*--output/],
    [['decompress', '--max-bytes', '0', 'x.gz'], /number of bytes/],
    [['infer', 'mlp'], /required option '--input/],
    [['infer', 'mlp', '--input', 'x.npy'], /NAME=FILE/],
    [['infer', 'mlp', '--input', 'x=a.csv'], /\.npy or \.json/],
    [['infer', 'mlp', '--input', 'x=a.npy', '--input', 'x=b.npy'], /x is given twice/],
    [['devices', '--device', 'gpu'], /--device goes with --explain/],
    [['devices', '--explain', 'infer'], /infer runs a model; say which one with --model MODEL/],
    [['devices', '--plugin', 'mine'], /It is NAME=PATH/],
    [['devices', '--on', 'axle+unix:/x', '--plugin', 'a=/x.so'], /--plugin is for this process/],
    [['completion', 'tcsh'], /'tcsh'.*bash, zsh, fish/],
  ])('refuses %j with exit code 2 and one line', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^axle: [^\n]*\n$/);
    expect(stdout.toString()).toBe('');
    expect(code).toBe(2);
  });

  it('explains how an op would run', async () => {
    const { code, stdout } = await runCli(['devices', '--explain', 'classify']);
    expect(code).toBe(0);
    expect(stdout.toString()).toMatch(/^How classify of glyphs would run now\nPLAN +STEP +DEVICE/);
    expect(stdout.toString()).toMatch(
      /\n1 +decode +host:0 .*\n +preprocess\.\.topk +cpu-fallback:0/,
    );
    const asJson = await runCli(['devices', '--explain', 'compress', '--json']);
    expect(JSON.parse(asJson.stdout.toString())).toMatchObject({
      op: 'compress',
      plans: [{ device: 'cpu-fallback:0', steps: [{ step: 'compress', measured: false }] }],
    });
  });

  it('shows help and exits with 2 when no command is named', async () => {
    const { code, stderr } = await runCli([]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^Usage: axle/);
  });

  it('says where an error came from only when asked', async () => {
    const plain = await runCli(['compress', '/nonexistent']);
    expect(plain.stderr).toBe('axle: /nonexistent: no such file or directory\n');
    expect(plain.code).toBe(1);
    for (const debugged of [
      await runCli(['compress', '--debug', '/nonexistent']),
      await runCli(['compress', '/nonexistent'], { env: { AXLE_DEBUG: '1' } }),
    ]) {
      expect(debugged.stderr).toMatch(/\n {4}at /);
      expect(debugged.code).toBe(1);
    }
  });
});

describe('completion', () => {
  it.each(['bash', 'zsh', 'fish'])('for %s knows every command and option', async (shell) => {
    const { code, stdout } = await runCli(['completion', shell]);
    expect(code).toBe(0);
    for (const command of commands) expect(stdout.toString()).toContain(command);
    for (const option of ['codec', 'max-bytes', 'strict']) {
      expect(stdout.toString()).toContain(option);
    }
  });

  it('works in bash', async () => {
    const folder = temporaryFolder();
    const { stdout } = await runCli(['completion', 'bash']);
    writeFileSync(join(folder, 'axle.bash'), stdout);
    writeFileSync(join(folder, 'photo one.jpg'), '');
    const complete = (...words: string[]) => {
      const script = `source axle.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _axle
        printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout: replies, stderr } = spawnSync('bash', ['-c', script, 'bash', ...words], {
        cwd: folder,
        encoding: 'utf8',
      });
      expect(stderr).toBe('');
      return replies.trim().split('\n');
    };
    expect(complete('axle', 'comp')).toEqual(['compress', 'completion']);
    expect(complete('axle', 'compress', '--codec', '')).toEqual(['zstd', 'lz4', 'gzip']);
    expect(complete('axle', 'compress', '--for')).toEqual(['--force']);
    expect(complete('axle', 'classify', 'pho')).toEqual(['photo one.jpg']);
    expect(complete('axle', 'completion', 'f')).toEqual(['fish']);
  });
});

/** The scripts that a command loads. */
async function loadedBy(args: readonly string[]): Promise<string[]> {
  const folder = temporaryFolder();
  const { code } = await runCli(args, { env: { NODE_V8_COVERAGE: folder } });
  expect(code).toBe(0);
  return readdirSync(folder).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
      result: { url: string }[];
    };
    return result.map(({ url }) => url);
  });
}
