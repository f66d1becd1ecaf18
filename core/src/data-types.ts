import { DataType, type DataTypeName } from './generated/constants.js';

const nameById = new Map<number, DataTypeName>(
  (Object.keys(DataType) as DataTypeName[]).map((name) => [DataType[name], name]),
);

/** The name of a data type's number; undefined for one that is not known. */
export function dataTypeNameOf(id: number): DataTypeName | undefined {
  return nameById.get(id);
}
