import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';

import { descriptions, objectsOf } from './descriptions.js';

const { FileDescriptorProto } = descriptor;

/** Of google.protobuf.FieldDescriptorProto. */
const fieldTypes: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
};
const messageType = 11;
const enumType = 14;
const labels = { optional: 1, repeated: 3 } as const;

/**
 * The files of `proto/` as google.protobuf.FileDescriptorProto, the form in which reflection tells of them: complete, with
 * what a compiler adds, since clients in Go and C++ take nothing less.
 */
export class FileDescriptors {
  private readonly encoded = new Map<string, Buffer>();
  private readonly fileOf = new Map<string, string>();
  private readonly imports = new Map<string, readonly string[]>();

  constructor() {
    const { root, files } = descriptions();
    for (const [name, file] of files) {
      const objects = objectsOf(root, file.package).filter(({ filename }) => filename === name);
      this.imports.set(name, file.imports);
      for (const object of objects) this.note(object, name);
      const described = {
        name,
        package: file.package,
        dependency: file.imports,
        messageType: messagesOf(objects),
        enumType: enumsOf(objects),
        service: objects.filter((object) => object instanceof protobuf.Service).map(serviceOf),
        syntax: 'proto3',
      };
      const message = FileDescriptorProto.fromObject(described);
      this.encoded.set(name, FileDescriptorProto.encode(message).finish() as Buffer);
    }
  }

  /** A file and all that it needs, it first; undefined: there is none. */
  byName(name: string): readonly Buffer[] | undefined {
    const file = this.encoded.get(name);
    if (file === undefined) return undefined;
    const needed = this.imports.get(name) ?? [];
    return [file, ...needed.flatMap((each) => this.byName(each) ?? [])];
  }

  /** The same of the file that a message, an enum, a service, or something within one, is in. */
  bySymbol(symbol: string): readonly Buffer[] | undefined {
    const name = this.fileOf.get(symbol.replace(/^\./, ''));
    return name === undefined ? undefined : this.byName(name);
  }

  private note(object: protobuf.ReflectionObject, file: string): void {
    this.fileOf.set(nameOf(object), file);
    if (object instanceof protobuf.Service) {
      for (const method of object.methodsArray) this.note(method, file);
    }
    if (object instanceof protobuf.Type) {
      for (const inner of [...object.nestedArray, ...object.fieldsArray]) this.note(inner, file);
    }
  }
}

function nameOf(object: protobuf.ReflectionObject): string {
  return object.fullName.slice(1);
}

function messagesOf(objects: readonly protobuf.ReflectionObject[]): object[] {
  return objects.filter((object) => object instanceof protobuf.Type).map(messageOf);
}

function enumsOf(objects: readonly protobuf.ReflectionObject[]): object[] {
  return objects
    .filter((object) => object instanceof protobuf.Enum)
    .map(({ name, values }) => ({
      name,
      value: Object.entries(values).map(([key, number]) => ({ name: key, number })),
    }));
}

function serviceOf({ name, methodsArray }: protobuf.Service): object {
  const method = methodsArray.map((each) => ({
    name: each.name,
    inputType: each.resolvedRequestType?.fullName,
    outputType: each.resolvedResponseType?.fullName,
    clientStreaming: each.requestStream ?? false,
    serverStreaming: each.responseStream ?? false,
  }));
  return { name, method };
}

function messageOf(type: protobuf.Type): object {
  const fields = type.fieldsArray;
  const maps = fields.filter((field) => field instanceof protobuf.MapField);
  return {
    name: type.name,
    field: fields.map((field) => fieldOf(field, type)),
    nestedType: [...messagesOf(type.nestedArray), ...maps.map(entryOf)],
    enumType: enumsOf(type.nestedArray),
    oneofDecl: type.oneofsArray.map(({ name }) => ({ name })),
  };
}

function fieldOf(field: protobuf.Field, { oneofsArray, fullName }: protobuf.Type): object {
  const common = { name: field.name, number: field.id, jsonName: jsonNameOf(field.name) };
  if (field instanceof protobuf.MapField) {
    const typeName = `${fullName}.${entryName(field.name)}`;
    return { ...common, label: labels.repeated, type: messageType, typeName };
  }
  const { partOf } = field;
  return {
    ...common,
    ...typeOf(field),
    label: field.repeated ? labels.repeated : labels.optional,
    ...(partOf !== null && { oneofIndex: oneofsArray.indexOf(partOf) }),
  };
}

function typeOf({ type, resolvedType }: Pick<protobuf.FieldBase, 'type' | 'resolvedType'>): object {
  const typeName = resolvedType?.fullName;
  if (resolvedType instanceof protobuf.Enum) return { type: enumType, typeName };
  if (resolvedType !== null) return { type: messageType, typeName };
  return { type: fieldTypes[type] };
}

/** What a map is on the wire. */
function entryOf(field: protobuf.MapField): object {
  const key = { name: 'key', number: 1, jsonName: 'key', type: fieldTypes[field.keyType] };
  const value = { name: 'value', number: 2, jsonName: 'value', ...typeOf(field) };
  const label = labels.optional;
  return {
    name: entryName(field.name),
    field: [
      { ...key, label },
      { ...value, label },
    ],
    options: { mapEntry: true },
  };
}

/** As protoc calls it: `string_value` has StringValueEntry. */
function entryName(field: string): string {
  const words = field.split('_').map((word) => word.slice(0, 1).toUpperCase() + word.slice(1));
  return `${words.join('')}Entry`;
}

function jsonNameOf(field: string): string {
  return field.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
}
