import { AxleError } from 'axle';

import type { ScalingPolicy } from './deployment.js';
import { inFlightMaxMax, instancesMax, queueMaxDefault } from './deployment-limits.js';
import { parseGoDuration } from './go-duration.js';

const prefix = 'com.openfaas.scale.';
const minDefault = 1;
const maxDefault = 20;
const idleMsDefault = 15 * 60_000;
const idleMsMax = 24 * 3_600_000;
const targetMax = 1_000_000;
/** What OpenFaaS calls what is counted. */
const kinds: Readonly<Record<string, ScalingPolicy['by']>> = {
  capacity: 'concurrency',
  rps: 'rate',
};
const rateTargetDefault = 50;
/** Read by OpenFaaS, and of no meaning here. */
const passedOver = new Set(['factor', 'target-proportion']);
const known = new Set(['min', 'max', 'type', 'target', 'zero', 'zero-duration']);

/** What is not a label, and counts. */
export interface ScalingDefaults {
  /** Calls that one instance works on at once. */
  readonly concurrency: number;
  /** `max_inflight`: calls of the function at once, and none waits; undefined: as many as its instances take, and others wait. */
  readonly inFlightMax: number | undefined;
}

/**
 * OpenFaaS's `com.openfaas.scale.*`.
 *
 * @param notes told what of them means nothing here.
 * @throws AxleError INVALID_ARGUMENT naming the label.
 */
export function readScalingLabels(
  labels: Readonly<Record<string, string>>,
  { concurrency, inFlightMax }: ScalingDefaults,
  notes: string[],
): ScalingPolicy {
  for (const name of Object.keys(labels)) {
    if (!name.startsWith(prefix)) continue;
    const rest = name.slice(prefix.length);
    if (passedOver.has(rest))
      notes.push(`label ${name} is not used: instances follow their target`);
    else if (!known.has(rest))
      throw wrong(rest, `is not known; there are ${[...known].join(', ')}`);
  }
  const label = (name: string) => labels[`${prefix}${name}`];
  const toZero = flag('zero', label('zero'));
  const max = whole('max', label('max'), 1, instancesMax) ?? maxDefault;
  const min = whole('min', label('min'), 0, instancesMax) ?? Math.min(minDefault, max);
  if (min > max) throw wrong('min', `is ${min}, and max ${max}; make it at most that`);
  if (min === 0 && !toZero) {
    throw wrong(
      'min',
      `is 0; set ${prefix}zero to "true" as well, which lets the last instance end`,
    );
  }
  const by = kindOf(label('type'));
  const target = whole('target', label('target'), 1, targetMax);
  return {
    min,
    max,
    by,
    target: target ?? (by === 'rate' ? rateTargetDefault : concurrency),
    toZero,
    idleMs: idleMsOf(label('zero-duration')),
    inFlightMax: inFlightMax ?? Math.min(max * concurrency, inFlightMaxMax),
    queueMax: inFlightMax === undefined ? queueMaxDefault : 0,
  };
}

function kindOf(text: string | undefined): ScalingPolicy['by'] {
  if (text === undefined) return 'concurrency';
  const kind = Object.hasOwn(kinds, text) ? kinds[text] : undefined;
  if (kind !== undefined) return kind;
  throw wrong('type', `takes ${Object.keys(kinds).join(' or ')}; load of the CPU is not looked at`);
}

function idleMsOf(text: string | undefined): number {
  if (text === undefined) return idleMsDefault;
  // Go's durations have units, and 5 might be meant as minutes.
  const ms = /^\d+$/.test(text) ? undefined : parseGoDuration(text);
  if (ms !== undefined && ms > 0 && ms <= idleMsMax) return ms;
  throw wrong('zero-duration', 'takes a time with a unit, such as 15m, of at most 24h');
}

function flag(name: string, text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw wrong(name, 'takes true or false');
}

function whole(name: string, text: string | undefined, least: number, most: number) {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value;
  throw wrong(name, `takes a whole number from ${least} to ${most}`);
}

function wrong(name: string, what: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', `label ${prefix}${name.slice(0, 100)} ${what}`);
}
