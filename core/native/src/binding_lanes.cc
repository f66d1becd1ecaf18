// SPDX-License-Identifier: Apache-2.0
// laneConnect, laneOpen, laneTake, laneForget, laneForgetAll, laneClose.
#include <algorithm>

#include "entry.h"
#include "inputs.h"
#include "lane.h"
#include "limits.h"

namespace axle::host {
namespace {

// (numbers, frames, receiver)
napi_value lane_connect(const Call &call) {
  napi_typedarray_type type = napi_int8_array;
  if (napi_get_typedarray_info(call.env, call[0], &type, nullptr, nullptr, nullptr, nullptr) !=
          napi_ok ||
      type != napi_float64_array) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "numbers must be a Float64Array");
  }
  napi_valuetype receiver = napi_undefined;
  check(call.env, napi_typeof(call.env, call[2], &receiver));
  if (receiver != napi_function) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "the receiver must be a function");
  }
  call.environment->connect_lanes(call[0], call[1], call[2]);
  return nullptr;
}

std::vector<std::string> read_names(const Call &call, napi_value list) {
  const uint32_t count = read_array_length(call.env, list, kLaneInputNamesMax, "inputNames");
  std::vector<std::string> names;
  for (uint32_t i = 0; i < count; ++i) {
    names.push_back(read_c_string(call.env, read_element(call.env, list, i), AXLE_NAME_BYTES_MAX,
                                  "an input's name"));
  }
  return names;
}

// (queueId, binding, argsId, [op, version, first, last, outputBytesMax, batchMax, payloadMax, device], names, inputNames)
napi_value lane_open(const Call &call) {
  Environment *environment = call.environment;
  if (environment->lane_numbers() == nullptr) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "call laneConnect before the first lane is opened");
  }
  LaneSettings settings;
  settings.queue_id = read_integer(call.env, call[0], kSafeIntegerMax, "queueId");
  environment->queues.get(settings.queue_id, "queue");
  settings.binding = read_integer(call.env, call[1], kSafeIntegerMax, "binding");
  const uint64_t args_id = read_integer(call.env, call[2], kSafeIntegerMax, "argsId");
  if (args_id != 0) settings.args = environment->args.get(args_id, "argument list");
  const auto number = [&](uint32_t at, uint64_t max, const char *what) {
    return read_integer(call.env, read_element(call.env, call[3], at), max, what);
  };
  settings.op = static_cast<uint32_t>(number(0, UINT32_MAX, "op"));
  settings.op_version = static_cast<uint32_t>(number(1, UINT32_MAX, "opVersion"));
  settings.chain_first = static_cast<uint32_t>(number(2, UINT32_MAX, "chainFirst"));
  settings.chain_last = static_cast<uint32_t>(number(3, UINT32_MAX, "chainLast"));
  settings.output_bytes_max = number(4, kSafeIntegerMax, "outputBytesMax");
  settings.batch_max = static_cast<uint32_t>(
      std::clamp<uint64_t>(number(5, UINT32_MAX, "batchMax"), 1, AXLE_SUBMIT_MAX));
  settings.payload_max =
      static_cast<uint32_t>(number(6, AXLE_WIRE_PAYLOAD_BYTES_MAX, "payloadMax"));
  settings.device = static_cast<uint16_t>(number(7, UINT16_MAX, "device"));
  settings.names = read_bool(call.env, call[4], "names");
  settings.input_names = read_names(call, call[5]);
  auto lane = std::make_shared<Lane>(std::move(settings));
  Lane *opened = lane.get();
  opened->id = environment->lanes.add(std::move(lane));
  return make_number(call.env, static_cast<double>(opened->id));
}

Lane *read_lane(const Call &call) {
  const uint64_t id = read_integer(call.env, call[0], kSafeIntegerMax, "laneId");
  return call.environment->lanes.get(id, "lane").get();
}

// (laneId, bytes, at, callsMax, handleMin): how many bytes were taken
napi_value lane_take(const Call &call) {
  Lane *lane = read_lane(call);
  const ByteSpan span = read_bytes(call.env, call[1], "bytes");
  const uint64_t at = read_integer(call.env, call[2], span.bytes, "at");
  const uint64_t calls_max = read_integer(call.env, call[3], kLaneCallsMax, "callsMax");
  const uint64_t handle_min = read_integer(call.env, call[4], kSafeIntegerMax, "handleMin");
  const LaneTaken taken = lane->take(call.environment, static_cast<const uint8_t *>(span.data) + at,
                                     span.bytes - at, calls_max, handle_min);
  double *numbers = call.environment->lane_numbers();
  numbers[0] = static_cast<double>(taken.calls);
  numbers[1] = static_cast<double>(taken.input_bytes);
  numbers[2] = static_cast<double>(taken.last_handle);
  return make_number(call.env, static_cast<double>(taken.frame_bytes));
}

// (laneId, handle): the bytes of its inputs, or -1
napi_value lane_forget(const Call &call) {
  Lane *lane = read_lane(call);
  const uint64_t handle = read_integer(call.env, call[1], kSafeIntegerMax, "handle");
  return make_number(call.env, static_cast<double>(lane->forget(call.environment, handle)));
}

// (laneId)
napi_value lane_forget_all(const Call &call) {
  read_lane(call)->forget_all(call.environment);
  return nullptr;
}

// (laneId)
napi_value lane_close(const Call &call) {
  const Lane *lane = read_lane(call);
  if (lane->in_flight() > 0) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "calls of the lane are in flight");
  }
  call.environment->lanes.remove(lane->id, "lane");
  return nullptr;
}

}  // namespace

void add_lane_functions(Environment *environment, napi_value exports) {
  add_function<lane_connect>(environment, exports, "laneConnect");
  add_function<lane_open>(environment, exports, "laneOpen");
  add_function<lane_take>(environment, exports, "laneTake");
  add_function<lane_forget>(environment, exports, "laneForget");
  add_function<lane_forget_all>(environment, exports, "laneForgetAll");
  add_function<lane_close>(environment, exports, "laneClose");
}

}  // namespace axle::host
