// SPDX-License-Identifier: Apache-2.0
// The plugin host's own limits. Those that plugins see too stand in axle/plugin.h.
#ifndef AXLE_HOST_LIMITS_H
#define AXLE_HOST_LIMITS_H

#include <cstdint>

namespace axle::host {

// ---- what a caller may pass ----------------------------------------------------------------------
constexpr uint64_t kOptionsMax = 64;
constexpr uint64_t kOptionBytesMax = 4096;
constexpr uint64_t kPathBytesMax = 4096;
constexpr uint64_t kSegmentsMax = 65536;  // of all inputs of one task
constexpr uint64_t kModelFilesMax = 4096;
constexpr uint64_t kFileNameBytesMax = 1023;
constexpr uint64_t kTasksMax = 1u << 20;  // allocated at once in one environment

// Of a CALL that goes over a lane, without its header, and of an output of its RESULT.
constexpr uint64_t kLaneFrameBytesMax = 16 * 1024;
constexpr uint64_t kLaneTensorBytesMax = 16 * 1024;
constexpr uint64_t kLaneInputNamesMax = 256;
constexpr uint64_t kLaneCallsMax = 1024;  // of one go
// Of the arrays that lanes share with JavaScript: the longest RESULT fits.
constexpr uint64_t kLaneNumbers = 7;
constexpr uint64_t kLaneFramesBytesMin = 128 * 1024;

// What alloc promises.
constexpr uint64_t kRoomAlignment = 64;

constexpr uint64_t kSharedMemoryBytesMax = uint64_t{1} << 40;
constexpr uint64_t kAttachAnswerBytesMax = 4096;

// ---- what a plugin may describe or do ------------------------------------------------------------
constexpr uint64_t kSpecsMax = 256;  // tensors or arguments of one op or model
constexpr uint64_t kDocBytesMax = 1023;
constexpr uint64_t kFaultLinesMax = 100;  // logged for one plugin; all are counted
constexpr uint64_t kFaultKindsMax = 256;  // of all plugins: logged once, past those lines too

// ---- how the host works --------------------------------------------------------------------------
constexpr uint64_t kCopiedInputBytesMax = 1023;       // smaller than a pin costs
constexpr uint64_t kExternalBytesMin = 16 * 1024;     // below it a copy costs less than a finaliser
constexpr uint64_t kCompletionsPerCall = 1024;        // of the completion handler
constexpr uint64_t kPoolRetainedBytesMax = 64 << 20;  // freed output memory kept for reuse
constexpr uint64_t kPoolBlockBytesMax = 32 << 20;     // larger blocks are not kept
constexpr uint64_t kGuardBytes = 1024 * 1024;   // on either side of a block, beyond its fences
constexpr uint64_t kGuardedBlocksMax = 4096;    // whose guards are told from other faults
constexpr uint64_t kFenceBytesMax = 64 * 1024;  // on either side of a task's memory
constexpr uint64_t kTaskReuseDelay = 256;       // freed tasks that lie still before reuse
constexpr uint64_t kBlockingThreadsMax = 16;
constexpr uint64_t kBlockingThreadIdleMs = 5000;
constexpr uint64_t kLogLinesMax = 1024;         // waiting for one environment
constexpr uint64_t kExitWaitMs = 5000;          // for tasks in flight at process.exit()
constexpr uint64_t kTeardownComplainMs = 5000;  // between complaints of a teardown that waits

}  // namespace axle::host

#endif  // AXLE_HOST_LIMITS_H
