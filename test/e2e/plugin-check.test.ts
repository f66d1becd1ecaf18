import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { shippedModels } from 'axle';
import { checkPlugin, pluginRules } from 'axle/plugin-check';
import { describe, expect, it } from 'vitest';

import { onnxModel } from '../onnx-model.mjs';
import { builtPlugin, cpuPlugin, wrappedCpuPlugin, type BuiltPlugin } from './plugins.js';

/** Long enough for a rule that ends, on a busy machine. */
const timeoutMs = 40_000;
/** Short enough to wait for those that hang. */
const hangMs = 3000;

/** Which fault of the fault plugin each rule finds, and by which words. */
const found: readonly (readonly [rule: string, fault: string, reason: RegExp])[] = [
  ['loads', 'crash-on-close', /SIGABRT/],
  ['unknown-option', 'any-option', /it opened with the option/],
  ['reopens', 'left-thread', /left (19|2\d) threads/],
  ['opening-leaks', 'leak-on-close', /\d+ openings, .* leave \d+\.\d MB behind/],
  [
    'opening-leaks',
    'leak-descriptors-on-close',
    /\d+ openings, .* leave \d+ file descriptors open/,
  ],
  ['opening-leaks', 'leak-on-refusal', /\d+ openings, .* leave \d+\.\d MB behind/],
  ['reopens', 'fork-on-open', /left 21 processes running that it had started/],
  ['reopens', 'change-name', /describes itself, its devices or its ops otherwise when .* again$/],
  ['health', 'slow-health', /took \d+ ms to say how it is/],
  ['health', 'silent-health', /does not say why/],
  ['statistics', 'count-twice', /32 tasks of .* raised its counters by 64/],
  ['statistics', 'count-on', /^opened anew it has counted 32 tasks already$/],
  ['statistics', 'count-back', /^computeNs went from \d+ back to \d+$/],
  ['process-unchanged', 'change-directory', /^after open it has changed the working directory$/],
  ['process-unchanged', 'change-umask', /^after open it has changed the umask$/],
  ['process-unchanged', 'change-variable', /^after open .* the environment variables$/],
  ['process-unchanged', 'ignore-signal', /^after open it has changed what signals do$/],
  ['process-unchanged', 'close-input', /^after open it has changed the descriptors 0 to 2$/],
  [
    'process-unchanged',
    'block-signals',
    /^after submit of .* the signals that the calling thread blocks$/,
  ],
  [
    'process-unchanged',
    'flush-denormals',
    /^after submit of .* how the calling thread calculates$/,
  ],
  ['process-unchanged', 'round-up', /^after submit of .* how the calling thread calculates$/],
  ['queues-together', 'cross-queues', /another result than alone while other queues have tasks$/],
  ['times', 'long-times', /told a compute_ns of .* ms, and was back after .* ms$/],
  ['threads', 'one-thread', /^used by two threads at once: .* has no context of the device/],
  ['supports', 'slow-supports', /took \d+\.\d ms to say whether/],
  ['refusals', 'silent-refusal', /does not say why/],
  ['queues', 'few-queues', /there are 8 queues/],
  ['queue-leaks', 'leak-queue', /1280 queues leave \d+\.\d MB behind/],
  ['queue-leaks', 'leak-descriptors-queue', /\d+ queues leave \d+ file descriptors open/],
  ['blocking', 'slow-queue-open', /^queue_open took [2-9]\d\.\d ms for the first queue after open/],
  [
    'blocking',
    'slow-submit',
    /^submit took [2-9]\d\.\d ms for one task of fault.axle\/copy: it waits/,
  ],
  ['blocking', 'slow-first-queue', /^queue_open took \d+\.\d ms the first time, for the first/],
  ['blocking', 'slow-first-submit', /^submit took \d+\.\d ms the first time, for one task of/],
  ['blocking', 'slow-stream-open', /^stream_open took [2-9]\d\.\d ms/],
  ['blocking', 'slow-stream-write', /^stream_write took [2-9]\d\.\d ms/],
  ['runs', 'refuse-all', /^no task gave a result: .*it refuses whatever it is given/],
  ['runs', 'silent-refusal', /^no task gave a result: fault:0 does not take fault.axle\/copy/],
  ['runs', 'needs-argument', /^no task gave a result: .*mode must be keep.*--arg NAME=VALUE/],
  ['runs', 'complete-twice', /complete/],
  ['runs', 'complete-in-submit', /inside submit/],
  ['runs', 'wrong-size', /bytes|emit/],
  ['runs', 'wrong-type', /against its description, output 0 is INT8, not UINT8/],
  ['runs', 'wrong-output', /against its description, there is no output 0, but output 1/],
  ['runs', 'batch-size', /a batch_size over the tasks of its submit/],
  ['runs', 'emit-after-complete', /emit|complete/],
  ['runs', 'write-past-end', /past the end/],
  ['runs', 'write-far-past-end', /past the end/],
  ['runs', 'write-past-fence', /past the end/],
  ['runs', 'write-past-block', /SIGSEGV: it touched memory far past the end of memory from alloc/],
  ['runs', 'write-before-start', /before the start/],
  ['runs', 'crash', /SIGABRT/],
  ['runs', 'exit', /the plugin ended the process, with exit code 0/],
  ['scatter', 'first-segment-only', /in pieces/],
  ['large', 'crash-when-large', /SIGABRT/],
  ['inputs-unchanged', 'write-input', /wrote to its input/],
  ['inputs-unchanged', 'write-dims', /^wrote to the description of a task's inputs/],
  ['inputs-unchanged', 'write-tensor', /^wrote to the description of a task's inputs/],
  ['inputs-unchanged', 'write-segment', /^wrote to the description of a task's inputs/],
  ['inputs-unchanged', 'write-task', /^wrote to a field of a task that it may only read/],
  ['inputs-unchanged', 'write-list', /^wrote to submit's list of tasks/],
  ['inputs-unchanged', 'write-arguments', /^wrote to a task's arguments/],
  ['inputs-unchanged', 'write-asked-arguments', /^supports wrote to its arguments/],
  ['stream', 'stream-write-arguments', /stream_open wrote to its arguments/],
  // Its input is so small that the host has copied it.
  ['many', 'write-input', /it wrote to the bytes of a task's inputs/],
  ['many', 'more-and-more', /^2 rules of plugin.h, \d+ times in all: complete was .*; emit was /],
  ['many', 'complete-twice', /^complete was called on a task that is not .* \(\d+ times\)$/],
  ['small-inputs', 'crash-when-empty', /SIGABRT/],
  ['small-inputs', 'crash-when-one', /SIGABRT/],
  ['arguments', 'crash-on-argument', /SIGABRT/],
  ['arguments', 'crash-on-zero', /SIGABRT/],
  ['arguments', 'sticky-argument', /something else after a task that had other arguments$/],
  ['odd-values', 'crash-on-odd-value', /SIGABRT/],
  ['input-ends', 'read-past-end', /when other bytes lie behind its inputs: it reads them$/],
  ['same-again', 'leave-unwritten', /two outputs for one input/],
  ['deadline', 'wrong-clock', /the deadline passed/],
  ['arguments', 'silent-argument', /no message/],
  ['error-leaks', 'leak-on-error', /tasks that failed, .* leave \d+\.\d MB behind/],
  ['error-leaks', 'leak-descriptors-on-error', /leave \d+ file descriptors open/],
  [
    'changing-inputs',
    'read-twice',
    /became what it is of neither; it has read the input more than once/,
  ],
  ['changing-inputs', 'read-late', /output 0 changed after the task had ended, as its input did/],
  ['bad-input', 'no-message', /no message/],
  ['output-cap', 'ignore-cap', /cap of 0 bytes ended with status 0/],
  ['deadline', 'late-status', /the deadline passed/],
  ['cancel', 'cancel-status', /nobody waits for it/],
  ['same-again', 'changing-output', /two outputs for one input/],
  ['leaks', 'leak', /5120 tasks leave \d+\.\d MB behind/],
  ['leaks', 'leak-little', /5120 tasks leave \d+\.\d MB behind/],
  ['leaks', 'leak-much', /1\d\d\d tasks leave 1\d\d\d\.\d MB behind/],
  ['leaks', 'leak-descriptors', /tasks leave \d+ file descriptors open/],
  ['batch', 'previous-output', /task 0 of a batch has another result than alone/],
  ['batch-neighbours', 'fail-together', /one before it failed/],
  ['stream', 'stream-drop', /by a stream than by a task/],
  ['stream', 'stream-stuck', /writes in a row took nothing/],
  ['stream-cap', 'stream-over-cap', /a write failed with 8/],
  ['stream-cap', 'stream-no-more', /by a stream than by a task/],
  ['stream-empty', 'stream-empty', /there is nothing to copy/],
  ['stream-close', 'stream-crash-on-close', /SIGABRT/],
  ['stream-many', 'stream-shared', /by a stream than by a task/],
  ['stream-leaks', 'stream-leak', /MB behind/],
];

/** The same of faults that spoil the CPU plugin. */
const foundWrapped: typeof found = [
  ['runs', 'wrong-numbers', /value 0 is/],
  ['stream-damage', 'swallow-errors', /took an input that is cut off/],
  ['model-info', 'model-info', /model_info says of its inputs/],
  ['model-twice', 'model-shared', /the model is not there any more/],
  ['model-at-once', 'model-busy', /another model is being loaded/],
  ['model-unload', 'model-once', /a model was unloaded before/],
  ['model-damaged', 'model-any', /it loaded an empty file/],
  ['model-damaged', 'model-status', /refused an empty file with status 2, not INVALID_ARGUMENT/],
  ['model-format', 'model-any-format', /it loaded a model of the format 'axle.check\/unknown'/],
  ['model-files', 'model-first-file', /whose weights are in a second file/],
  ['model-misfits', 'swallow-errors', /it ran infer with no input/],
  ['model-missing', 'model-assumed', /SIGABRT/],
  ['model-leaks', 'model-leak', /MB behind/],
  ['model-leaks', 'model-leak-on-error', /MB behind/],
  ['model-info', 'model-write-file', /^model_load wrote to the files of a model/],
  ['range', 'wrong-range', /classify, preprocess to topk: of the scores/],
  ['oracle-compress', 'bloat', /made \d+ bytes, the oracle \d+/],
  ['oracle-compress', 'flip-byte', /the oracle/],
  ['oracle-decompress', 'flip-byte', /gives other bytes than went in/],
  ['oracle-preprocess', 'wrong-numbers', /as on the oracle/],
  ['oracle-infer', 'wrong-numbers', /as on the oracle/],
  ['oracle-topk', 'wrong-numbers', /of the scores/],
  ['oracle-classify', 'wrong-range', /of the scores/],
  ['given-model', 'model-info', /model_info says of the inputs of mlp/],
  ['given-model', 'model-once', /a model was unloaded before/],
  [
    'given-model-batch',
    'wrong-numbers',
    /another result than alone: of row 1 of output 'scores', value 0/,
  ],
  ['given-model-oracle', 'wrong-numbers', /value 0 is .* as on the oracle/],
];

/** Found only while tasks take their time. */
const foundInTime: typeof found = [
  ['cancel', 'cancel-another', /ended a task for the cancel of another$/],
  ['cancel', 'complete-on-cancel', /complete was called on a task that/],
  ['stream-cancel', 'stream-cancel-status', /nobody waits for it/],
  ['stream-leaks', 'stream-leak-on-error', /MB behind/],
  ['blocking', 'slow-cancel', /^cancel took [2-9]\d\.\d ms for one task of .*, behind 31/],
  ['blocking', 'submit-when-idle', /^submit took \d+\.\d ms for one task of .*, behind 32 others/],
];

/** Found by the watchdog. */
const foundByHanging: typeof found = [
  [
    'completes',
    'never-complete',
    /^no end of it within 3 s: a task was never completed on fault:0$/,
  ],
  ['completes', 'lose-last', /: the last of 2 tasks of one submit was never completed on fault:0$/],
  ['loads', 'hang-on-close', /^its close did not return within 3 s$/],
  [
    'many',
    'lose-tasks',
    /: of 1024 tasks .* 512 were never completed on fault:0, the first .* 513th/,
  ],
  ['cancel', 'lose-cancelled', /never completed/],
];

describe('checkPlugin', () => {
  it.concurrent.each(found)('finds by the rule %s: %s', async (rule, fault, reason) => {
    const { path, options } = builtPlugin('fault', { fault });
    const [result] = await checkPlugin(path, { options, rules: [rule], timeoutMs });
    expect(result).toMatchObject({ rule, verdict: 'fail' });
    expect(result?.reason).toMatch(reason);
  });

  it.concurrent.each(foundWrapped)(
    'finds by the rule %s: %s of another plugin',
    async (rule, fault, reason) => {
      const { path, options } = wrappedCpuPlugin(fault);
      const rules = [rule];
      const models = [`${shippedModels}/mlp`];
      const checked = { options, oracle: cpuPlugin, models, rules, timeoutMs };
      const [result] = await checkPlugin(path, checked);
      expect(result).toMatchObject({ rule, verdict: 'fail' });
      expect(result?.reason).toMatch(reason);
    },
  );

  it.concurrent.each(foundInTime)('finds by the rule %s: %s', async (rule, fault, reason) => {
    const { path, options } = builtPlugin('fault', { fault, delay_ms: '5' });
    const [result] = await checkPlugin(path, { options, rules: [rule], timeoutMs });
    expect(result).toMatchObject({ rule, verdict: 'fail' });
    expect(result?.reason).toMatch(reason);
  });

  it.concurrent.each(foundByHanging)('finds by the rule %s: %s', async (rule, fault, reason) => {
    const { path, options } = builtPlugin('fault', { fault });
    const [result] = await checkPlugin(path, { options, rules: [rule], timeoutMs: hangMs });
    expect(result).toMatchObject({ rule, verdict: 'fail', cause: 'hang' });
    expect(result?.reason).toMatch(reason);
  });

  it('has no rule that nothing breaks', () => {
    const all = [...found, ...foundWrapped, ...foundInTime, ...foundByHanging];
    const broken = all.map(([rule]) => rule);
    expect(new Set(broken)).toEqual(new Set(pluginRules.map(({ id }) => id)));
  });

  it('has no rule that the guide leaves out', () => {
    const guide = readFileSync(new URL('../../docs/plugin-authors.md', import.meta.url), 'utf8');
    expect(pluginRules.filter(({ id }) => !guide.includes(`\`${id}\``))).toEqual([]);
  });

  it('says so when a file is no plugin, and skips what is not available here', async () => {
    const rules = ['loads'];
    const [library] = await checkPlugin(builtPlugin('nope').path, { rules });
    expect(library).toMatchObject({
      verdict: 'fail',
      reason: expect.stringMatching(/nope.so/) as string,
    });
    const { path } = builtPlugin('fault');
    const [lost] = await checkPlugin(path, { rules: ['runs'], options: { fault: 'lost' } });
    expect(lost).toMatchObject({
      verdict: 'skip',
      reason: expect.stringMatching(/lost/) as string,
    });
  });

  it('gives the rules after one that hung less time, and says so', async () => {
    const { path, options } = builtPlugin('fault', { fault: 'never-complete' });
    const rules = ['health', 'runs', 'many', 'queues'];
    const results = await checkPlugin(path, { options, rules, timeoutMs: 4000 });
    expect(results.map(({ rule, verdict, cause }) => [rule, verdict, cause])).toEqual([
      ['health', 'pass', undefined],
      ['queues', 'pass', undefined],
      ['runs', 'fail', 'hang'],
      ['many', 'skip', undefined],
    ]);
    expect(results[3]?.reason).toMatch(/^not at its end after 3 s, .* because 'runs' hung$/);
    expect(results[3]?.ms).toBeLessThan(3900);
  });

  it('runs no other rule where a plugin does not load, or hangs or crashes as it does', async () => {
    const { path } = builtPlugin('fault');
    const afterLoads = async (fault: string) => {
      const rules = ['loads', 'runs'];
      const results = await checkPlugin(path, { options: { fault }, rules, timeoutMs: hangMs });
      return results.map(({ verdict, reason }) => `${verdict} ${reason}`)[1];
    };
    expect(await afterLoads('nope')).toBe('skip not run: it does not load');
    expect(await afterLoads('crash-on-close')).toMatch(/^skip not run: it crashes as it is loaded/);
    expect(await afterLoads('hang-on-close')).toMatch(/^skip not run: it hangs as it is loaded/);
  });

  it('skips what needs an oracle without one, and refuses one that does not open', async () => {
    const { path, options } = cpuPlugin;
    const rules = ['oracle-topk'];
    expect(await checkPlugin(path, { options, rules })).toMatchObject([
      { verdict: 'skip', reason: 'there is no oracle to compare with' },
    ]);
    const refusal = (oracle: BuiltPlugin) =>
      checkPlugin(path, { options, rules, oracle }).catch((error: unknown) => String(error));
    expect(await refusal(builtPlugin('nope'))).toMatch(/the oracle does not open: .*nope/);
    const crashing = builtPlugin('fault', { fault: 'crash-on-close' });
    expect(await refusal(crashing)).toMatch(/the oracle does not open: .*SIGABRT/);
    // Nothing looks at it.
    const results = await checkPlugin(path, { options, rules: ['loads'], oracle: crashing });
    expect(results).toMatchObject([{ verdict: 'pass' }]);
  });

  it('tells what a given model does not allow from what the plugin does wrong', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'axle-given-'));
    const value = (name: string, shape: readonly (number | string)[], elementType = 1) => ({
      name,
      shape,
      elementType,
    });
    const graphs = {
      // Over the batch too, in its default axes.
      dependent: onnxModel({
        inputs: [value('x', ['n', 2, 2, 2])],
        outputs: [value('y', ['n', 2, 2, 2])],
        nodes: [['MeanVarianceNormalization', ['x'], ['y']]],
      }),
      // k is 5, which no description tells.
      guessed: onnxModel({
        inputs: [value('x', ['n', 'k'])],
        outputs: [value('y', ['n', 3])],
        nodes: [['MatMul', ['x', 'w'], ['y']]],
        weights: [{ name: 'w', shape: [5, 3], data: new Float32Array(15).fill(1) }],
      }),
      // Of two rows: an index is 0 or 1.
      lookup: onnxModel({
        inputs: [value('ids', ['n', 'length'], 7)],
        outputs: [value('y', ['n', 'length', 3])],
        nodes: [['Gather', ['w', 'ids'], ['y']]],
        weights: [{ name: 'w', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
      }),
      texts: onnxModel({
        inputs: [value('x', ['n'], 8)],
        outputs: [value('y', ['n'], 8)],
        nodes: [['Identity', ['x'], ['y']]],
      }),
    };
    const rules = ['given-model', 'given-model-batch', 'given-model-oracle'];
    const verdicts = async (name: keyof typeof graphs) => {
      const path = join(folder, `${name}.onnx`);
      await writeFile(path, graphs[name]);
      const checked = { options: cpuPlugin.options, oracle: cpuPlugin, rules, models: [path] };
      const results = await checkPlugin(cpuPlugin.path, checked);
      return results.map(({ verdict, reason }) => `${verdict} ${reason}`);
    };
    try {
      expect(await verdicts('dependent')).toEqual([
        'pass ',
        expect.stringMatching(/^skip the rows of dependent depend on one another/),
        'pass ',
      ]);
      const refused = expect.stringMatching(/^skip .*guessed.* status \d+: .*MatMul/) as string;
      expect(await verdicts('guessed')).toEqual([refused, refused, refused]);
      expect(await verdicts('lookup')).toEqual(['pass ', 'pass ', 'pass ']);
      expect(await verdicts('texts')).toEqual(['pass ', 'pass ', 'pass ']);
    } finally {
      await rm(folder, { recursive: true });
    }
    const missing = checkPlugin(cpuPlugin.path, { models: [join(folder, 'lookup.onnx')] });
    await expect(missing).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('gives results in the order of the rules however many are tried at once', async () => {
    const { path } = builtPlugin('fault');
    const rules = ['runs', 'health', 'queues', 'scatter', 'many'];
    const seen: string[] = [];
    const results = await checkPlugin(path, {
      options: { fault: 'crash' },
      rules,
      jobs: 3,
      onResult: ({ rule }) => seen.push(rule),
    });
    const inOrder = pluginRules.map(({ id }) => id).filter((id) => rules.includes(id));
    expect(results.map(({ rule }) => rule)).toEqual(inOrder);
    expect(seen).toEqual(inOrder);
    const verdicts = Object.fromEntries(results.map(({ rule, verdict }) => [rule, verdict]));
    const wanted = { runs: 'fail', health: 'pass', queues: 'pass', scatter: 'fail', many: 'fail' };
    expect(verdicts).toEqual(wanted);
    for (const jobs of [0, 65, 1.5]) {
      const refused = checkPlugin(path, { jobs });
      await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });

  it('ends with the reason of its signal', async () => {
    const abort = new AbortController();
    const { path } = builtPlugin('fault');
    const check = checkPlugin(path, {
      options: { fault: 'never-complete' },
      rules: ['runs'],
      signal: abort.signal,
    });
    abort.abort(new Error('enough'));
    await expect(check).rejects.toThrow('enough');
  });
});
