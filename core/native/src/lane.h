// SPDX-License-Identifier: Apache-2.0
// Calls of one binding of one connection, from the bytes in which they came to a device's queue, and their results
// back as frames of proto/PROTOCOL.md: JavaScript sees how many there were. What a lane does not take is left to
// JavaScript, which knows all of the protocol; a lane never says that a frame is wrong.
#ifndef AXLE_HOST_LANE_H
#define AXLE_HOST_LANE_H

#include <axle/wire.h>

#include <memory>
#include <string>
#include <vector>

#include "args.h"
#include "task.h"

namespace axle::host {

// What the calls of a lane have in common.
struct LaneSettings {
  uint64_t binding = 0;
  uint64_t queue_id = 0;
  uint32_t op = 0;
  uint32_t op_version = 0;
  uint32_t chain_first = 0;
  uint32_t chain_last = 0;
  std::shared_ptr<ArgSet> args;  // nullptr: none
  uint64_t output_bytes_max = 0;
  uint32_t batch_max = 1;    // tasks of one submit
  uint32_t payload_max = 0;  // of a RESULT
  uint16_t device = 0;       // as RESULT calls it
  bool names = false;        // RESULT names outputs
  std::vector<std::string> input_names;
};

// What came of one go over a chunk, or of one over completions.
struct LaneTaken {
  uint64_t calls = 0;
  uint64_t input_bytes = 0;
  uint64_t last_handle = 0;
  uint64_t frame_bytes = 0;
};

struct LaneAnswers {
  uint64_t results = 0;
  uint64_t result_bytes = 0;  // of RESULT frames, at the start of the memory
  uint64_t returned = 0;
  uint64_t returned_bytes = 0;  // of CALL frames that JavaScript is to run, behind the results
  uint64_t input_bytes = 0;     // of all of them
  uint64_t work_ns = 0;         // of those that have a result
  uint64_t dropped = 0;         // of forgotten calls, which have none of this
};

// JS thread only.
class Lane {
 public:
  explicit Lane(LaneSettings settings) : settings_(std::move(settings)) {}

  uint64_t id = 0;  // what JavaScript calls it by

  const LaneSettings &settings() const { return settings_; }
  uint64_t in_flight() const { return calls_.size(); }

  // Takes CALLs from the start of `bytes` on while they are plain ones of this binding, at most `calls_max`, with
  // handles past `handle_min`, and submits them. Never throws for what the bytes are.
  LaneTaken take(Environment *environment, const uint8_t *bytes, size_t size, uint64_t calls_max,
                 uint64_t handle_min);
  // The call's outcome is not wanted, and it is cancelled as far as the plugin can. Returns its bytes of input; -1 when
  // no such call is in flight.
  int64_t forget(Environment *environment, uint64_t handle);
  // The same for all.
  void forget_all(Environment *environment);

  // Writes the answers of as many of the completed tasks as there is room for, takes those off the list, and retires
  // them.
  LaneAnswers answer(Environment *environment, std::vector<Task *> *completed, uint8_t *memory,
                     size_t capacity);

 private:
  bool try_stage(Environment *environment, const uint8_t *frame, const axle_wire_header &header,
                 std::vector<Task *> *staged);
  bool stage(Environment *environment, const uint8_t *frame, const axle_wire_header &header,
             std::vector<Task *> *staged);
  bool write_result(const Task &task, axle_wire_writer *writer) const;
  void remove(Task *task);

  LaneSettings settings_;
  std::vector<Task *> calls_;  // in flight, each at its lane_place
};

}  // namespace axle::host

#endif  // AXLE_HOST_LANE_H
