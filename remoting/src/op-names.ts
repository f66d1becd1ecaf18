import { OPS, type OpName } from '@axle/core/internal';

const nameById = new Map<number, OpName>(
  (Object.keys(OPS) as OpName[]).map((name) => [OPS[name].id, name]),
);

/** The name of a semantic op's number; undefined for one that is not in the registry. */
export function opNameOf(id: number): OpName | undefined {
  return nameById.get(id);
}

/** The steps of an op that is a chain, by number; none for another. */
export function opStepsOf(id: number): readonly string[] {
  const name = nameById.get(id);
  return (name && OPS[name].chain) ?? [];
}
