import { DataType, type DataTypeName } from './generated/constants.js';

const nameById: (DataTypeName | undefined)[] = [];
for (const name of Object.keys(DataType) as DataTypeName[]) nameById[DataType[name]] = name;

/** The name of a data type's number; undefined for one that is not known. */
export function dataTypeNameOf(id: number): DataTypeName | undefined {
  return nameById[id];
}
