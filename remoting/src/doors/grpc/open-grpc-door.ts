import type { DoorClients } from '../door-clients.js';
import type { DoorLimits } from '../door-limits.js';
import type { DoorRequests } from '../door-request.js';
import type { Door } from '../door.js';
import type { KserveServer } from '../kserve/kserve-server.js';
import { axleService } from './axle-service.js';
import { FileDescriptors } from './file-descriptors.js';
import { GrpcDoor } from './grpc-door.js';
import { healthService } from './health-service.js';
import { inferenceService } from './inference-service.js';
import { reflectionService } from './reflection-service.js';

const services = [
  'axle.v1.Axle',
  'inference.GRPCInferenceService',
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];

/** A door with every service. */
export function openGrpcDoor(
  kserve: KserveServer,
  clients: DoorClients,
  requests: DoorRequests,
  limits: DoorLimits,
): Door {
  const descriptors = new FileDescriptors();
  return new GrpcDoor(clients, requests, limits, [
    axleService(kserve, clients, limits),
    inferenceService(kserve, clients, limits),
    healthService(kserve, services),
    reflectionService('v1', services, descriptors),
    reflectionService('v1alpha', services, descriptors),
  ]);
}
