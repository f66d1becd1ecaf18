import type { Backend, Device, OfferedOp, Support } from '../backend.js';
import { AxleError } from '../errors.js';
import type { Model } from '../models/model.js';
import { argsKey, hasFlag, type OpArgs, type OpRange } from '../op.js';
import type { Registry } from '../registry.js';
import { alonePolicy, type BatchPolicy } from '../scheduling/batch-policy.js';
import { modelPolicy, opPolicy } from '../scheduling/model-policy.js';
import { BatchKeys } from '../scheduling/batch-keys.js';
import { argsOf, rangeOf, stepLabel, takesImage, usesModel, type Chain } from './chain.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import type { CostEntry, CostModel } from './cost-model.js';
import type { HealthMonitor } from './health-monitor.js';
import { checkWanted, isWanted } from './wanted-device.js';

/** Consecutive steps that one device runs in one task. */
export interface Segment {
  readonly first: number;
  readonly last: number;
  /** 'infer', or for several steps 'preprocess..topk'. */
  readonly label: string;
  readonly range: OpRange;
  readonly args: OpArgs;
  readonly backend: Backend;
  readonly device: Device;
  readonly flags: number;
  /** PURE or IDEMPOTENT: it may run a second time. */
  readonly repeatable: boolean;
  /** How well the device says that it does this, from 1: the higher the better. */
  readonly score: number;
  readonly usesModel: boolean;
  /** Dimension 0 of its inputs counts items of a batch. */
  readonly countsItems: boolean;
  /** Content id of the model that it runs; '' = none. */
  readonly modelKey: string;
  readonly batchKeys: BatchKeys;
  readonly policy: BatchPolicy;
  readonly cost: CostEntry;
}

/** A way to run a whole chain. */
export interface Plan {
  readonly segments: readonly Segment[];
  /** The segment that runs the chain's main step. */
  readonly main: Segment;
  /** Another plan gives a device in one task what this one gives it in several. */
  readonly splitsRange: boolean;
}

/** The plans of a chain with a model, until the registry changes. */
interface KnownPlans {
  readonly chain: Chain;
  readonly model: Model | undefined;
  readonly registryVersion: number;
  readonly plans: readonly Plan[];
  /** Why devices were passed over, by '<step> on <device>'. */
  readonly reasons: ReadonlyMap<string, string>;
}

export interface Explanation {
  readonly plans: readonly Plan[];
  readonly reasons: ReadonlyMap<string, string>;
}

export interface Preference {
  /** Device id, backend name or device kind. */
  readonly device: string | undefined;
  readonly strict: boolean;
}

/** A plan, and what it is ranked by: the first of these that differs. */
interface RankedPlan {
  readonly plan: Plan;
  readonly broken: boolean;
  readonly preferred: boolean;
  /** Parts of a range that is offered as one, and not known to be quicker. */
  readonly guessed: boolean;
  readonly costMs: number;
}

/** Plans that are looked at, and that are kept for fallback. */
const plansConsideredMax = 256;
const plansKeptMax = 8;
const supportCacheMax = 4096;

/** Finds the ways to run a chain and orders them: what the caller prefers first, then what should be done soonest. */
export class Router {
  private readonly supportCache = new Map<string, Support>();
  private readonly known = new WeakMap<Chain, WeakMap<object, KnownPlans>>();
  /** Calls are mostly like the one before: three look-ups less. */
  private last: KnownPlans | undefined;

  constructor(
    private readonly registry: Registry,
    private readonly costs: CostModel,
    private readonly breaker: CircuitBreaker,
    private readonly health: HealthMonitor,
  ) {}

  /**
   * Best plan first; never empty. Plans with a device that is lost or fails again and again come last.
   *
   * @param bytes of the inputs of the call; undefined = not known.
   * @throws AxleError NOT_FOUND for a device that does not exist; UNAVAILABLE when a strict preference cannot be met;
   * UNIMPLEMENTED when no device runs one of the steps, with the reasons that the devices gave.
   */
  plans(
    chain: Chain,
    model: Model | undefined,
    preference: Preference,
    bytes: number | undefined,
  ): readonly Plan[] {
    const { device, strict } = preference;
    const { plans, reasons } = this.allPlans(chain, model);
    // The common cases: nothing to choose, and a client that has chosen the one there is.
    const [only] = plans;
    if (plans.length === 1 && device === only?.main.device.id) return plans;
    if (device !== undefined || strict) checkWanted(this.registry, preference);
    if (plans.length === 0) throw unimplemented(chain, reasons);
    if (plans.length === 1 && !strict) return plans;
    const preferred = (plan: Plan) => isWanted(plan.main.device, device);
    const allowed = strict ? plans.filter(preferred) : plans;
    if (allowed.length === 0) {
      throw new AxleError(
        'UNAVAILABLE',
        `${chain.op} cannot run on '${device ?? ''}': ${reasonsText(reasons) || 'it does not offer it'}; ` +
          `leave 'strict' out to let another device run it`,
        // What devices offer does not change: it would be the same next time.
        { retryable: false },
      );
    }
    if (allowed.length === 1) return allowed;
    const ranked: RankedPlan[] = allowed.map((plan) => ({
      plan,
      broken: plan.segments.some((segment) => this.isBroken(segment.device)),
      preferred: preferred(plan),
      // A device that offers a range says that it is worth it.
      guessed: plan.splitsRange && !this.costs.isMeasured(plan.segments),
      costMs: this.costs.planMs(plan.segments, model, bytes),
    }));
    ranked.sort(
      (a, b) =>
        Number(a.broken) - Number(b.broken) ||
        Number(b.preferred) - Number(a.preferred) ||
        Number(a.guessed) - Number(b.guessed) ||
        a.costMs - b.costMs,
    );
    const again = this.toTryAgain(ranked);
    if (again > 0) ranked.unshift(...ranked.splice(again, 1));
    return ranked.slice(0, plansKeptMax).map(({ plan }) => plan);
  }

  /**
   * Now and then a plan whose device is no worse by what it says is tried although it was slower: what was measured may
   * have been a cold start, or on a machine that was busy.
   *
   * @returns its place; 0: none is due.
   */
  private toTryAgain(ranked: readonly RankedPlan[]): number {
    const [best] = ranked as readonly [RankedPlan];
    for (let i = 1; i < ranked.length; i++) {
      const other = ranked[i] as RankedPlan;
      const isPeer =
        other.broken === best.broken &&
        other.preferred === best.preferred &&
        other.guessed === best.guessed;
      if (!isPeer) break;
      const { score, cost } = other.plan.main;
      if (score >= best.plan.main.score && this.costs.passOver(cost)) return i;
    }
    return 0;
  }

  /**
   * The plans as `plans` orders them, and why devices were passed over, by '<step> on <device>'.
   *
   * @throws as `plans`, but for UNIMPLEMENTED: there are only reasons then.
   */
  explain(
    chain: Chain,
    model: Model | undefined,
    preference: Preference,
    bytes: number | undefined,
  ): Explanation {
    const { plans, reasons } = this.allPlans(chain, model);
    const allReasons = new Map(reasons);
    for (const { segments } of plans) {
      for (const { device, first, last } of segments) {
        const { state, message } = this.health.of(device);
        const lost = state === 'LOST' ? `the device is lost: ${message}` : undefined;
        const reason = this.breaker.reason(device) ?? lost;
        if (reason === undefined) continue;
        allReasons.set(`${stepLabel(chain, first, last)} on ${device.id}, for now`, reason);
      }
    }
    const ordered = plans.length === 0 ? [] : this.plans(chain, model, preference, bytes);
    return { plans: ordered, reasons: allReasons };
  }

  private isBroken(device: Device): boolean {
    return this.breaker.isOpen(device) || this.health.of(device).state === 'LOST';
  }

  /** Worked out once for a chain and model: what devices offer does not change while they are registered. */
  private allPlans(chain: Chain, model: Model | undefined): KnownPlans {
    const { version } = this.registry;
    const { last } = this;
    const isLast = last?.chain === chain && last.model === model;
    if (isLast && last.registryVersion === version) return last;
    let ofChain = this.known.get(chain);
    if (ofChain === undefined) {
      ofChain = new WeakMap();
      this.known.set(chain, ofChain);
    }
    const key = model ?? chain;
    const known = ofChain.get(key);
    if (known?.registryVersion === version) {
      this.last = known;
      return known;
    }
    const reasons = new Map<string, string>();
    const ways: Segment[][] = [];
    this.extend(chain, model, [], ways, reasons);
    const plans = ways.map((segments) => ({
      segments,
      main: mainOf(chain, segments),
      splitsRange: ways.some((other) => other !== segments && splits(segments, other)),
    }));
    const found = { chain, model, registryVersion: version, plans, reasons };
    ofChain.set(key, found);
    return found;
  }

  private extend(
    chain: Chain,
    model: Model | undefined,
    segments: readonly Segment[],
    ways: Segment[][],
    reasons: Map<string, string>,
  ): void {
    const first = (segments.at(-1)?.last ?? -1) + 1;
    if (first === chain.steps.length) {
      ways.push([...segments]);
      return;
    }
    for (let last = chain.steps.length - 1; last >= first; last--) {
      for (const segment of this.segments(chain, first, last, model, reasons)) {
        if (ways.length >= plansConsideredMax) return;
        this.extend(chain, model, [...segments, segment], ways, reasons);
      }
    }
  }

  private segments(
    chain: Chain,
    first: number,
    last: number,
    model: Model | undefined,
    reasons: Map<string, string>,
  ): Segment[] {
    const range = rangeOf(chain, first, last);
    const candidates = this.registry.candidates(range);
    if (candidates.length === 0) {
      if (first === last) reasons.set(stepLabel(chain, first, last), 'no device offers it');
      return [];
    }
    const args = argsOf(chain, first, last);
    const withModel = usesModel(chain, first, last);
    const itsModel = withModel ? model : undefined;
    const modelKey = itsModel?.source.contentId ?? '';
    const taskKey = `${range.name}${range.op}.${first}.${last} ${modelKey} ${argsKey(args)}`;
    return candidates.flatMap(({ backend, device, offered }) => {
      const support = this.support(backend, device, offered, args, itsModel);
      if (support.score > 0) {
        const policy = policyOf(offered, device, itsModel);
        // The same bytes may stand under several names, each with a config of its own.
        const batchKey = `${taskKey} ${JSON.stringify(policy)}`;
        const segment: Segment = {
          first,
          last,
          label: stepLabel(chain, first, last),
          range: offered,
          args,
          backend,
          device,
          flags: offered.flags,
          repeatable: hasFlag(offered.flags, 'PURE') || hasFlag(offered.flags, 'IDEMPOTENT'),
          score: support.score,
          usesModel: withModel,
          countsItems: (itsModel?.maxBatchSize ?? 0) > 0 && !takesImage(chain, first),
          modelKey,
          batchKeys: new BatchKeys(batchKey, freeDimensions(chain, first)),
          policy,
          cost: this.costs.entryOf(device, offered, itsModel),
        };
        return [segment];
      }
      reasons.set(`${stepLabel(chain, first, last)} on ${device.id}`, support.reason);
      return [];
    });
  }

  private support(
    backend: Backend,
    device: Device,
    range: OpRange,
    args: OpArgs,
    model: Model | undefined,
  ): Support {
    const { op, version, first, last } = range;
    const key = `${device.id} ${op}.${version}.${first}.${last} ${model?.source.contentId ?? ''} ${argsKey(args)}`;
    const known = this.supportCache.get(key);
    if (known !== undefined) return known;
    const support = isOutOfReach(backend, device, model)
      ? outOfReach
      : backend.supports(device, { range, args, model: model?.source });
    if (this.supportCache.size >= supportCacheMax) this.supportCache.clear();
    this.supportCache.set(key, support);
    return support;
  }
}

const outOfReach: Support = { score: 0, reason: 'the model is on another server' };

/** Its files are elsewhere, and not where this device is. */
function isOutOfReach(backend: Backend, device: Device, model: Model | undefined): boolean {
  if (model?.isElsewhere !== true) return false;
  return backend.hasElsewhere?.(device, model.source) !== true;
}

/** The first dimension is the batch, or the bytes of an image; images of a batch differ in height and width. */
function freeDimensions(chain: Chain, first: number): number {
  return takesImage(chain, first) ? 2 : 1;
}

/** Every one of `parts` lies within one of `wholes` on the same device. */
function splits(parts: readonly Segment[], wholes: readonly Segment[]): boolean {
  return parts.every((part) =>
    wholes.some(
      (whole) => sharesPlace(whole, part) && whole.first <= part.first && part.last <= whole.last,
    ),
  );
}

/** All devices of a far side are one place: what several of them do together it plans itself. */
function sharesPlace(a: Segment, b: Segment): boolean {
  return a.device === b.device || (a.backend === b.backend && a.backend.batches === 'there');
}

function mainOf(chain: Chain, segments: readonly Segment[]): Segment {
  const main = segments.find(({ first, last }) => first <= chain.main && chain.main <= last);
  if (main !== undefined) return main;
  throw new AxleError('INTERNAL', `a plan of ${chain.op} skips its main step`);
}

/** With whom a segment's tasks may be computed. */
function policyOf(offered: OfferedOp, device: Device, model: Model | undefined): BatchPolicy {
  const batchable = hasFlag(offered.flags, 'BATCHABLE');
  if (model !== undefined) return modelPolicy(model, device, batchable ? offered.batchMax : 1);
  // A custom op says by the flag alone that its tasks are independent.
  return offered.name !== '' && batchable ? opPolicy(offered.batchMax) : alonePolicy;
}

function unimplemented(chain: Chain, reasons: ReadonlyMap<string, string>): AxleError {
  return new AxleError(
    'UNIMPLEMENTED',
    `no device here runs ${chain.op}: ${reasonsText(reasons)}; see axle devices`,
  );
}

function reasonsText(reasons: ReadonlyMap<string, string>): string {
  return [...reasons].map(([what, why]) => `${what}: ${why}`).join('; ');
}
