import { OPS, type OpName } from '@axle/core/internal';

const nameById = new Map<number, OpName>(
  (Object.keys(OPS) as OpName[]).map((name) => [OPS[name].id, name]),
);

/** The name of a semantic op's number; undefined for one that is not in the registry. */
export function opNameOf(id: number): OpName | undefined {
  return nameById.get(id);
}
