import { messageOf } from '../errors.js';
import { ErrorCode, type OpId } from '../generated/constants.js';
import type { NativeOpInfo } from '../native-binding.js';
import { withDevice, type DeviceUnderTest } from './device-under-test.js';
import type { TaskCompletion } from './host-connection.js';
import { PluginUnderTest, type ModelSource, type TaskRequest } from './plugin-under-test.js';
import { Attempts, broken, skipped, type CheckedPlugin, type Subject } from './rule.js';
import { withPlugin } from './trials.js';

/** A device of the plugin beside the one of the oracle. */
export interface Comparison {
  /** The checked plugin's entry of the op. */
  readonly op: NativeOpInfo;
  readonly plugin: DeviceUnderTest;
  readonly oracle: DeviceUnderTest;
}

/**
 * Runs `work` for each device of the plugin and each of its entries of an op.
 *
 * @param work says why there was nothing to compare, if there was not.
 * @throws RuleSkipped when the plugin does not offer the op, or there is no oracle.
 */
export async function withOracle(
  { oracle, ...subject }: Subject,
  opId: OpId,
  work: (comparison: Comparison) => Promise<string | undefined>,
): Promise<void> {
  await withPlugin(subject, async (plugin) => {
    const attempts = new Attempts('it does not offer the op');
    const ops = plugin.info.ops.filter(({ op, name }) => op === opId && name === '');
    if (ops.length === 0) attempts.check();
    if (oracle === undefined) skipped('there is no oracle to compare with');
    const judge = await openOracle(oracle);
    try {
      await withDevice(judge, 0, async (oracleDevice) => {
        for (const device of plugin.info.devices.keys()) {
          await withDevice(plugin, device, async (tested) => {
            for (const op of ops) {
              attempts.add(await work({ op, plugin: tested, oracle: oracleDevice }));
            }
          });
        }
      });
    } finally {
      await judge.close();
    }
    attempts.check();
  });
}

/**
 * Runs a task on the oracle.
 *
 * @throws RuleSkipped when it does not offer the op, or fails: that is nothing against the plugin.
 */
export async function runOnOracle(
  oracle: DeviceUnderTest,
  what: string,
  request: TaskRequest,
  model: ModelSource | null = null,
): Promise<TaskCompletion> {
  checkOffered(oracle, request, model);
  const completion = await oracle.run(request, model);
  const { status, message } = completion;
  if (status === ErrorCode.OK) return completion;
  return skipped(`${what} failed on the oracle with status ${status}: ${message}`);
}

/** @throws RuleSkipped when the oracle does not take such a task. */
export function checkOffered(
  oracle: DeviceUnderTest,
  request: TaskRequest,
  model: ModelSource | null = null,
): void {
  const refusal = oracle.refusal(request, model);
  if (refusal !== undefined) skipped(`the oracle does not offer it: ${refusal}`);
}

/** @throws RuleBroken: that it is not there is no reason to skip what was asked for. */
export async function openOracle({ path, options }: CheckedPlugin): Promise<PluginUnderTest> {
  try {
    return await PluginUnderTest.open(path, options);
  } catch (error) {
    return broken(`the oracle does not open: ${messageOf(error)}`);
  }
}
