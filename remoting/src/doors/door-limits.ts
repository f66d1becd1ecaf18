const MiB = 1024 * 1024;

/** Every bound that the standard doors put on what comes from outside. */
export interface DoorLimits {
  /** One message of gRPC, or the body of one HTTP request, bytes. */
  readonly messageBytesMax: number;
  /** The JSON in a body, bytes. Tensors may follow it as they are. */
  readonly jsonBytesMax: number;
  /** From the first byte of an HTTP request, or the headers of a call of gRPC, until its body or first message is there, milliseconds. */
  readonly requestMs: number;
  /** From the first byte of a connection until it has made a request whose sender is known, or asked for health, milliseconds. */
  readonly firstRequestMs: number;
  /** HTTP/2 streams of one connection. */
  readonly streamsMax: number;
  /** Answers of gRPC that one connection has waiting for its client to take them, bytes. */
  readonly unreadBytesMax: number;
  /** Requests of one ModelStreamInfer that are worked on; further ones are not read. */
  readonly streamInFlightMax: number;
  /** Requests of one connection of HTTP/1.1, sent without waiting for answers, that are worked on; */
  readonly pipelinedMax: number;
  /** and further ones that wait for that. With more, the connection is not read. */
  readonly pipelinedWaitingMax: number;
  /** Regions of shared memory that one tenant has registered. */
  readonly sharedRegionsMax: number;
  /** One of them, bytes. */
  readonly sharedRegionBytesMax: number;
}

export const defaultDoorLimits: DoorLimits = {
  messageBytesMax: 64 * MiB,
  jsonBytesMax: 4 * MiB,
  requestMs: 60_000,
  firstRequestMs: 60_000,
  streamsMax: 4096,
  unreadBytesMax: 256 * MiB,
  streamInFlightMax: 64,
  pipelinedMax: 16,
  pipelinedWaitingMax: 48,
  sharedRegionsMax: 64,
  sharedRegionBytesMax: 1024 * MiB,
};

/** Inputs, or requested outputs, of one request. */
export const tensorsMax = 1024;
/** Dimensions of a tensor: as many as devices take. */
export const dimensionsMax = 16;
/** Parameters of a request, or of a tensor. */
export const parametersMax = 256;
/** Names of models, versions, tensors, parameters, ids and parameters' text, characters. */
export const textCharactersMax = 1024;
/** Elements of a request in typed contents that have to be read one by one: all but packed FP32 and FP64. */
export const typedElementsMax = 2 * MiB;
/** Pieces in which they come: BYTES has one for each element. */
export const typedPiecesMax = 128 * 1024;
/** JSON of so many bytes, or of tensors of so many, is read and written on the thread that serves everyone; more of it on others. */
export const jsonInlineBytesMax = 64 * 1024;
/** Threads that read and write large JSON. */
export const jsonThreadsMax = 2;
/** Requests and answers of one tenant that wait for them, */
export const jsonWaitingMax = 1024;
/** and of all tenants. */
export const jsonWaitingOfAllMax = 4096;
/** Lists and objects in the JSON of a request. */
export const jsonListsMax = 256 * 1024;
/** Numbers and whatever else commas part in it. */
export const jsonValuesMax = MiB;
/** Texts in it: names, and elements of BYTES. */
export const jsonTextsMax = 128 * 1024;
/** Elements of one BYTES tensor: each costs more here than the bytes that it came as. */
export const bytesElementsMax = MiB;
/** What a URL was read as is remembered: of so many, */
export const knownRoutesMax = 256;
/** each so long at most, characters. */
export const knownUrlCharactersMax = 256;
/** The same of the JSON before the tensors of a request: of so many, */
export const headsMax = 256;
/** each so long at most, bytes. */
export const headBytesMax = 1024;
