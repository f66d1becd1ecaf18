// SPDX-License-Identifier: Apache-2.0
// streamOpen, streamWrite, streamClose.
#include <memory>

#include "batch.h"
#include "device_argument.h"
#include "entry.h"
#include "inputs.h"
#include "plugin_call.h"
#include "resources.h"
#include "staging.h"
#include "untouched.h"

namespace axle::host {
namespace {

// (pluginId, device, op, opVersion, argsId)
napi_value stream_open(const Call &call) {
  const auto [instance, device] = read_device(call, call[0], call[1]);
  const PluginLibrary *library = instance->library;
  const uint32_t op = read_uint32(call.env, call[2], "op");
  const uint32_t op_version = read_uint32(call.env, call[3], "opVersion");
  const uint64_t args_id = read_integer(call.env, call[4], kSafeIntegerMax, "argsId");
  const OpInfo *info = instance->find_op(op, op_version, 0, 0);
  if (info == nullptr || (info->flags & AXLE_OP_FLAG_STREAMABLE) == 0) {
    fail(AXLE_STATUS_UNIMPLEMENTED, "plugin '%s' has no streams of op %u version %u",
         library->name.c_str(), op, op_version);
  }
  axle_stream_config config{};
  config.struct_size = sizeof config;
  config.device = device;
  config.op = op;
  config.op_version = op_version;
  if (args_id != 0) {
    const ArgSet &args = *call.environment->args.get(args_id, "argument list");
    config.args = args.data();
    config.arg_count = args.size();
  }
  auto stream = std::make_shared<Stream>();
  stream->instance = instance;
  stream->device = device;
  stream->op = op;
  stream->op_version = op_version;
  {
    const ReadOnlyScope scope(library, "stream_open", config.args, config.arg_count);
    call_plugin_checked(library, "stream_open", [&](axle_error *error) {
      return library->table.stream_open(stream->instance->handle, &config, &stream->handle, error);
    });
  }
  PluginTable::get().retain(instance);
  return make_number(call.env,
                     static_cast<double>(call.environment->streams.add(std::move(stream))));
}

void check_writable(const Stream &stream, bool end) {
  if (stream.task != nullptr) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "a write is outstanding on this stream; wait for it");
  }
  if (stream.failed) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "a write on this stream has failed; close it");
  }
  if (stream.finished) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "the stream is finished; close it");
  }
  if (stream.ending && !end) {
    fail(AXLE_STATUS_INVALID_ARGUMENT,
         "the stream's end was given already, so this write has it too");
  }
}

// (streamId, data, end, outputBytesMax, deadlineMs)
napi_value stream_write(const Call &call) {
  Environment *environment = call.environment;
  const uint64_t id = read_integer(call.env, call[0], kSafeIntegerMax, "streamId");
  const std::shared_ptr<Stream> stream = environment->streams.get(id, "stream");
  const bool end = read_bool(call.env, call[2], "end");
  check_writable(*stream, end);
  if (!environment->has_receiver()) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "call onCompletions before the first write");
  }
  StagedTask staged(environment);
  Task *task = staged.get();
  task->abi.op = stream->op;
  task->abi.op_version = stream->op_version;
  task->abi.stream_flags = end ? AXLE_STREAM_END : 0;
  read_stream_input(call.env, call[1], task);
  staged.use_limits(read_number(call.env, call[3], "outputBytesMax"),
                    read_number(call.env, call[4], "deadlineMs"));
  napi_value task_id = make_number(call.env, static_cast<double>(task->id));
  staged.keep();
  submit_write(environment, stream.get(), task);
  stream->ending = end;
  return task_id;
}

napi_value stream_close(const Call &call) {
  Environment *environment = call.environment;
  const uint64_t id = read_integer(call.env, call[0], kSafeIntegerMax, "streamId");
  std::shared_ptr<Stream> stream = environment->streams.remove(id, "stream");
  auto job = std::make_unique<BlockingJob>();
  job->work = [stream] { close_stream(*stream); };
  napi_value promise = environment->promise_of(job.get());
  if (stream->task == nullptr) {
    environment->start_job(std::move(job));
  } else {
    stream->closing = std::move(job);
    environment->cancel(stream->task);
  }
  return promise;
}

}  // namespace

void add_stream_functions(Environment *environment, napi_value exports) {
  add_function<stream_open>(environment, exports, "streamOpen");
  add_function<stream_write>(environment, exports, "streamWrite");
  add_promise_function<stream_close>(environment, exports, "streamClose");
}

}  // namespace axle::host
