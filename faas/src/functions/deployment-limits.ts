/** What one front end holds of what is deployed, and how long parts of a deployment may be. */
export const functionsMax = 1000;
export const labelsMax = 64;
export const labelTextMax = 4096;
export const variablesMax = 256;
export const variableTextMax = 32_768;
export const secretsOfFunctionMax = 64;
/** A deployment in JSON, as it comes and as it is stored, bytes. */
export const deploymentBytesMax = 1024 * 1024;

/** Of one instance. */
export const memoryMiBMin = 64;
export const memoryMiBMax = 65_536;
/** Of one call. */
export const timeoutMsMax = 3_600_000;
export const instancesMax = 1000;
export const inFlightMaxMax = 100_000;
export const queueMaxDefault = 1000;
