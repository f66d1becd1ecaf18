import protobuf from 'protobufjs';

import { PROTO_SOURCES } from '../../generated/proto-sources.js';

/** The services of `proto/`, as protobufjs reads them. */
export interface Descriptions {
  readonly root: protobuf.Root;
  /** By the paths of their files. */
  readonly files: ReadonlyMap<string, DescribedFile>;
}

export interface DescribedFile {
  readonly package: string;
  readonly imports: readonly string[];
}

let read: Descriptions | undefined;

/** Read once, when the first door for gRPC opens. */
export function descriptions(): Descriptions {
  read ??= readSources();
  return read;
}

function readSources(): Descriptions {
  const root = new protobuf.Root();
  const files = new Map<string, DescribedFile>();
  for (const [name, text] of Object.entries(PROTO_SOURCES)) {
    const parsed = protobuf.parse(text, root, { keepCase: true });
    files.set(name, { package: parsed.package ?? '', imports: parsed.imports ?? [] });
    for (const object of objectsOf(root, parsed.package ?? '')) object.filename ??= name;
  }
  root.resolveAll();
  return { root, files };
}

/** Messages, enums and services of a package, those within others left out. */
export function objectsOf(root: protobuf.Root, packageName: string): protobuf.ReflectionObject[] {
  const space = root.lookup(packageName);
  if (!(space instanceof protobuf.Namespace)) return [];
  return space.nestedArray.filter((object) => object.constructor !== protobuf.Namespace);
}
