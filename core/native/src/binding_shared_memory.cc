// SPDX-License-Identifier: Apache-2.0
// sharedMemoryCreate, sharedMemorySend, sharedMemoryAttach, sharedMemoryRange, sharedMemoryReturned.
#include <unistd.h>

#include <memory>

#include "descriptor_passing.h"
#include "entry.h"
#include "limits.h"
#include "shared_memory.h"

namespace axle::host {
namespace {

// (socket, data, descriptor)
napi_value shared_memory_send(const Call &call) {
  const auto socket = static_cast<int>(read_integer(call.env, call[0], INT32_MAX, "socket"));
  const ByteSpan data = read_bytes(call.env, call[1], "data");
  if (data.bytes == 0)
    fail(AXLE_STATUS_INVALID_ARGUMENT, "data must have a byte to carry the memory");
  // A copy, which closes by itself: JavaScript keeps its own.
  const Descriptor descriptor(
      dup(static_cast<int>(read_integer(call.env, call[2], INT32_MAX, "descriptor"))));
  if (!descriptor.is_open()) fail(AXLE_STATUS_INVALID_ARGUMENT, "descriptor is not open");
  send_with_descriptor(socket, data.data, data.bytes, descriptor);
  return nullptr;
}

using Mapped = std::shared_ptr<RangedMapping>;

// A range that JavaScript has; the last view of it gives it back.
struct Range {
  Mapped mapping;
  uint64_t offset;
};

void drop_mapped(napi_env, void *data, void *) { delete static_cast<Mapped *>(data); }

void end_range(napi_env, void *, void *hint) {
  const std::unique_ptr<Range> range(static_cast<Range *>(hint));
  range->mapping->give_back(range->offset);
}

napi_value make_mapped(napi_env env, std::unique_ptr<SharedMapping> mapping) {
  auto mapped = std::make_unique<Mapped>(std::make_shared<RangedMapping>(std::move(mapping)));
  napi_value value = nullptr;
  check(env, napi_create_external(env, mapped.get(), drop_mapped, nullptr, &value));
  mapped.release();
  return value;
}

Mapped &read_mapped(const Call &call) {
  void *data = nullptr;
  if (napi_get_value_external(call.env, call[0], &data) != napi_ok) {
    fail(AXLE_STATUS_INVALID_ARGUMENT,
         "mapping must be what sharedMemoryCreate or sharedMemoryAttach gave");
  }
  return *static_cast<Mapped *>(data);
}

// (bytes)
napi_value shared_memory_create(const Call &call) {
  const uint64_t bytes = read_integer(call.env, call[0], kSharedMemoryBytesMax, "bytes");
  if (bytes == 0) fail(AXLE_STATUS_INVALID_ARGUMENT, "bytes must be at least 1");
  Descriptor descriptor = make_shared_memory(bytes);
  auto mapping = std::make_unique<SharedMapping>(descriptor, bytes);
  ObjectMaker made(call.env);
  made.set("mapping", make_mapped(call.env, std::move(mapping)));
  made.number("descriptor", descriptor.number());
  // JavaScript's to close from here on.
  descriptor.release();
  return made.done();
}

// (mapping, offset, bytes)
napi_value shared_memory_range(const Call &call) {
  const Mapped &mapping = read_mapped(call);
  const uint64_t offset = read_integer(call.env, call[1], mapping->bytes(), "offset");
  const uint64_t bytes = read_integer(call.env, call[2], mapping->bytes() - offset, "bytes");
  auto range = std::make_unique<Range>(Range{mapping, offset});
  napi_value buffer = nullptr;
  check(call.env, napi_create_external_arraybuffer(call.env, mapping->data() + offset, bytes,
                                                   end_range, range.get(), &buffer));
  range.release();
  return buffer;
}

// (mapping)
napi_value shared_memory_returned(const Call &call) {
  const std::vector<uint64_t> offsets = read_mapped(call)->take_returned();
  napi_value array = make_array(call.env, offsets.size());
  for (uint32_t i = 0; i < offsets.size(); ++i) {
    set_element(call.env, array, i, make_number(call.env, static_cast<double>(offsets[i])));
  }
  return array;
}

struct Attaching {
  std::string path;
  std::vector<uint8_t> request;
  uint64_t bytes_max;
  uint32_t timeout_ms;
  std::vector<uint8_t> answer;
  std::unique_ptr<SharedMapping> mapping;
};

// On a blocking thread.
void attach(Attaching *attaching) {
  DescriptorAnswer answer = ask_for_descriptor(attaching->path, attaching->request,
                                               kAttachAnswerBytesMax, attaching->timeout_ms);
  attaching->answer = std::move(answer.bytes);
  if (!answer.descriptor.is_open()) return;
  const uint64_t bytes = checked_size(answer.descriptor, attaching->bytes_max);
  attaching->mapping = std::make_unique<SharedMapping>(answer.descriptor, bytes);
}

napi_value make_bytes(napi_env env, const std::vector<uint8_t> &bytes) {
  void *data = nullptr;
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  check(env, napi_create_arraybuffer(env, bytes.size(), &data, &buffer));
  std::copy(bytes.begin(), bytes.end(), static_cast<uint8_t *>(data));
  check(env, napi_create_typedarray(env, napi_uint8_array, bytes.size(), buffer, 0, &array));
  return array;
}

// (path, request, bytesMax, timeoutMs)
napi_value shared_memory_attach(const Call &call) {
  auto attaching = std::make_shared<Attaching>();
  attaching->path = read_c_string(call.env, call[0], kPathBytesMax, "path");
  const ByteSpan request = read_bytes(call.env, call[1], "request");
  const auto *first = static_cast<const uint8_t *>(request.data);
  attaching->request.assign(first, first + request.bytes);
  attaching->bytes_max = read_integer(call.env, call[2], kSharedMemoryBytesMax, "bytesMax");
  attaching->timeout_ms = read_uint32(call.env, call[3], "timeoutMs");

  auto job = std::make_unique<BlockingJob>();
  job->work = [attaching] { attach(attaching.get()); };
  job->result = [attaching](napi_env env) {
    ObjectMaker made(env);
    made.set("answer", make_bytes(env, attaching->answer));
    if (attaching->mapping == nullptr) return made.done();
    made.number("bytes", static_cast<double>(attaching->mapping->bytes()));
    made.set("mapping", make_mapped(env, std::move(attaching->mapping)));
    return made.done();
  };
  job->abandon = [attaching] { attaching->mapping.reset(); };
  napi_value promise = call.environment->promise_of(job.get());
  call.environment->start_job(std::move(job));
  return promise;
}

}  // namespace

void add_shared_memory_functions(Environment *environment, napi_value exports) {
  add_function<shared_memory_create>(environment, exports, "sharedMemoryCreate");
  add_function<shared_memory_send>(environment, exports, "sharedMemorySend");
  add_promise_function<shared_memory_attach>(environment, exports, "sharedMemoryAttach");
  add_function<shared_memory_range>(environment, exports, "sharedMemoryRange");
  add_function<shared_memory_returned>(environment, exports, "sharedMemoryReturned");
}

}  // namespace axle::host
