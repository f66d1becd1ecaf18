export { findVmm, kvmWorks } from './vmm.js';
export { GuestError, type GuestErrorCode } from './guest-error.js';
export { readGuestImage, type GuestImage, type GuestKind } from './guest-image.js';
export { Machine, memoryMiBMin, usualMemoryMiB, type MachineOptions } from './machine.js';
export {
  bestAccelerator,
  runGuest,
  type GuestOptions,
  type GuestEnd,
  type GuestAccelerator,
} from './run-guest.js';
export { joinWhenHeard } from './join-when-heard.js';
export { joinGuest, type JoinOptions } from './join-guest.js';
export { keepJoined, rejoinMs, type KeepJoinedOptions } from './keep-joined.js';
