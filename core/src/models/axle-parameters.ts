/** The `parameters` of a config.pbtxt that are for Axle; all others are for whoever put them there. */
export const axleParameters = [
  'axle.batching.slo_aware',
  'axle.classify.output',
  'axle.classify.scores',
  'axle.preprocess.color',
  'axle.preprocess.fit',
  'axle.preprocess.layout',
  'axle.preprocess.mean',
  'axle.preprocess.standardize',
  'axle.preprocess.std',
] as const;

const prefix = 'axle.';

/** Whether it would be passed over in silence, as 'axle.slo_awareness' would. */
export function isUnknownParameter(key: string): boolean {
  return key.startsWith(prefix) && !(axleParameters as readonly string[]).includes(key);
}
