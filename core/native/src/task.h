// SPDX-License-Identifier: Apache-2.0
// One task, from stage() until its completion is delivered.
#ifndef AXLE_HOST_TASK_H
#define AXLE_HOST_TASK_H

#include <axle/plugin.h>
#include <node_api.h>

#include <atomic>
#include <string>
#include <vector>

#include "arena.h"
#include "memory_pool.h"
#include "plugin_library.h"

namespace axle::host {

class Environment;
class ArgSet;
class Lane;
struct Model;
struct Queue;
struct Stream;

// Who may touch a task follows from its state. The environment's JS thread alone moves it into Staged,
// Submitting, Running and Free; complete() moves it on from Submitting or Running.
enum class TaskState : uint32_t {
  Free,            // of the pool
  Staged,          // of the JS thread
  Submitting,      // handed to the plugin, whose submit has not returned yet
  CompletedEarly,  // completed before submit returned; the JS thread sends it on
  Running,         // of the plugin
  Completed,       // on its way to the JS thread
};

// Output memory that the plugin has and did not emit yet. `bytes` is what it asked for.
struct LiveBlock {
  Block block;  // without a capacity of its own where it lies in the task's room
  uint64_t bytes;
  bool in_room = false;
};

struct OutputChunk {
  OutputChunk *next;
  Block block;
  uint64_t bytes;
  bool in_room;
};

// Memory of the caller's for outputs that are allocated as AXLE_MEMORY_SHARED; what does not fit goes elsewhere.
struct OutputRoom {
  uint8_t *data = nullptr;  // nullptr: none
  uint64_t bytes = 0;
  uint64_t used = 0;
  napi_ref array = nullptr;  // the Uint8Array; one of the task's pins
};

// One output; its chunks in the order of emission.
struct Output {
  Output *next;  // by rising index
  uint32_t index;
  uint32_t dtype;
  uint32_t rank;
  uint32_t chunk_count;
  int64_t *dims;
  const char *name;  // never NULL
  size_t name_bytes;
  OutputChunk *first;
  OutputChunk *last;
};

// What a plugin may only read of a task, as it was: see untouched.h.
struct Untouched {
  bool is_noted;
  bool data_may_change;
  uint64_t fields;
  uint64_t tensors;
  uint64_t shapes;
  uint64_t data;
  uint64_t arg_list;
  uint64_t arg_values;
};

struct Task {
  static constexpr uint64_t kMagic = 0x4b5341545f4c5841;  // "AXL_TASK"

  axle_task abi{};  // first: the plugin's pointer is the task's
  uint64_t magic = kMagic;
  std::atomic<TaskState> state{TaskState::Free};
  std::atomic<bool> busy{false};  // a host-> call on this task is under way
  std::atomic<bool> cancelled{false};

  uint32_t slot = 0;  // in the environment's pool
  uint64_t generation = 0;
  uint64_t id = 0;

  Environment *environment = nullptr;
  const PluginLibrary *library = nullptr;  // set at submit, never freed
  uint32_t submitted_with = 1;             // tasks of its submit, itself included
  Queue *queue = nullptr;                  // or
  Stream *stream = nullptr;
  Model *model = nullptr;
  ArgSet *args = nullptr;
  Task *next = nullptr;  // in the list of completions, or of free tasks

  // Of the plugin's thread while Submitting or Running.
  std::vector<LiveBlock> live;
  uint64_t allocated_bytes = 0;  // live and emitted
  uint64_t chunk_count = 0;
  Output *outputs = nullptr;
  OutputRoom room;
  std::string broken_rule;  // the first one; empty for none

  Untouched untouched{};  // set before the plugin has the task

  // Set by complete().
  axle_completion completion{};
  const char *message = "";
  size_t message_bytes = 0;

  // Of the JS thread.
  std::vector<napi_ref> pins;
  bool copies_inputs = false;
  std::vector<Block> input_copies;
  Arena arena;

  // Of a task that came over a lane; of the JS thread too.
  Lane *lane = nullptr;
  bool lane_dropped = false;  // its outcome is nobody's
  size_t lane_place = 0;      // among the lane's calls
  uint64_t lane_handle = 0;
  uint64_t lane_began_ns = 0;
  uint64_t lane_input_bytes = 0;
  const uint8_t *lane_frame = nullptr;  // in the arena
  size_t lane_frame_bytes = 0;
};

// Waits its turn when calls on one task overlap, which is a fault of the plugin.
class TaskGuard {
 public:
  explicit TaskGuard(Task *task) noexcept;
  ~TaskGuard() { task_->busy.store(false, std::memory_order_release); }
  TaskGuard(const TaskGuard &) = delete;
  TaskGuard &operator=(const TaskGuard &) = delete;

 private:
  Task *task_;
};

// The task under a plugin's pointer, or nullptr, counted as a fault, when it is none.
Task *task_of(const axle_task *task, const char *slot) noexcept;

// Counts a fault of the task's plugin, and makes the task end with INTERNAL.
void break_rule(Task *task, const char *rule) noexcept;

}  // namespace axle::host

#endif  // AXLE_HOST_TASK_H
