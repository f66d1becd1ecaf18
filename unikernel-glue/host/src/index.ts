export { findVmm, kvmWorks } from './vmm.js';
export { GuestError, type GuestErrorCode } from './guest-error.js';
export { runGuest, type GuestOptions, type GuestEnd, type GuestAccelerator } from './run-guest.js';
export { joinGuest, type JoinOptions } from './join-guest.js';
export { keepJoined, rejoinMs, type KeepJoinedOptions } from './keep-joined.js';
