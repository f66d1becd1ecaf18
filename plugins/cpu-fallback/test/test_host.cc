// SPDX-License-Identifier: Apache-2.0
#include "test_host.h"

#include <dlfcn.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common/test/harness.h"

namespace axle::test {

namespace {

std::atomic<int> breach_count{0};
thread_local bool inside_submit = false;

void breach(const char *what) {
  std::fprintf(stderr, "breach of the contract: %s\n", what);
  breach_count++;
}

}  // namespace

int breaches() { return breach_count; }

// The functions of the host's table.
struct HostFunctions {
  static TestTask &of(const axle_task *task) { return *static_cast<TestTask *>(task->host_data); }

  static void *alloc(axle_task *task, uint64_t bytes, uint32_t) {
    TestTask &self = of(task);
    std::lock_guard<std::mutex> lock(self.mutex_);
    if (self.completed_) breach("alloc after complete");
    if (bytes > task->output_bytes_max - self.memory_bytes_) return nullptr;
    void *data = std::aligned_alloc(64, bytes / 64 * 64 + 64);
    self.memory_[data] = bytes;
    self.memory_bytes_ += bytes;
    return data;
  }

  static void *resize(axle_task *task, void *data, uint64_t bytes) {
    TestTask &self = of(task);
    std::lock_guard<std::mutex> lock(self.mutex_);
    const auto found = self.memory_.find(data);
    if (found == self.memory_.end()) {
      breach("resize of memory that is not the task's");
      return nullptr;
    }
    const uint64_t others = self.memory_bytes_ - found->second;
    if (bytes > task->output_bytes_max - others) return nullptr;
    void *moved = std::aligned_alloc(64, bytes / 64 * 64 + 64);
    std::memcpy(moved, data, std::min(bytes, found->second));
    std::free(data);
    self.memory_.erase(found);
    self.memory_[moved] = bytes;
    self.memory_bytes_ = others + bytes;
    return moved;
  }

  static void release(axle_task *task, void *data) {
    TestTask &self = of(task);
    std::lock_guard<std::mutex> lock(self.mutex_);
    const auto found = self.memory_.find(data);
    if (found == self.memory_.end()) return breach("release of memory that is not the task's");
    self.memory_bytes_ -= found->second;
    self.memory_.erase(found);
    std::free(data);
  }

  static int32_t emit(axle_task *task, const axle_chunk *chunk) {
    TestTask &self = of(task);
    std::lock_guard<std::mutex> lock(self.mutex_);
    const auto found = self.memory_.find(chunk->data);
    if (self.completed_) breach("emit after complete");
    if (found == self.memory_.end() || chunk->bytes > found->second) {
      breach("emit of memory that is not the task's");
      return AXLE_STATUS_INVALID_ARGUMENT;
    }
    if (self.outputs_.size() <= chunk->output) self.outputs_.resize(chunk->output + 1);
    Output &output = self.outputs_[chunk->output];
    output.name = chunk->name == nullptr ? "" : chunk->name;
    output.dtype = chunk->dtype;
    output.dims.assign(chunk->dims, chunk->dims + chunk->rank);
    output.bytes.append(static_cast<const char *>(chunk->data), chunk->bytes);
    // Still counted: the cap is on the whole output.
    self.memory_.erase(found);
    std::free(chunk->data);
    return AXLE_STATUS_OK;
  }

  static void complete(axle_task *task, const axle_completion *completion) {
    TestTask &self = of(task);
    if (inside_submit) breach("complete inside submit");
    std::lock_guard<std::mutex> lock(self.mutex_);
    if (self.completed_) return breach("complete twice");
    for (const auto &[data, bytes] : self.memory_) std::free(data);
    self.memory_.clear();
    self.completion_ = *completion;
    self.message_ = completion->message == nullptr ? "" : completion->message;
    if ((completion->status == AXLE_STATUS_OK) != self.message_.empty()) {
      breach("a message goes with a failure, and only with one");
    }
    self.completed_ = true;
    self.done_.notify_all();
  }

  static int32_t cancelled(const axle_task *task) { return of(task).cancelled_ ? 1 : 0; }

  static uint64_t now() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count());
  }

  static void log(uint32_t level, const char *message) {
    if (std::strchr(message, '\n') != nullptr) breach("a newline in a log line");
    if (level >= AXLE_LOG_ERROR || std::getenv("AXLE_TEST_LOG") != nullptr) {
      std::fprintf(stderr, "plugin: %s\n", message);
    }
  }
};

uint64_t now_ns() { return HostFunctions::now(); }

const axle_host *test_host() {
  static const axle_host host = [] {
    axle_host made = {};
    made.struct_size = sizeof(made);
    made.abi_major = AXLE_ABI_MAJOR;
    made.abi_minor = AXLE_ABI_MINOR;
    made.alloc = HostFunctions::alloc;
    made.resize = HostFunctions::resize;
    made.release = HostFunctions::release;
    made.emit = HostFunctions::emit;
    made.complete = HostFunctions::complete;
    made.cancelled = HostFunctions::cancelled;
    made.now_ns = HostFunctions::now;
    made.log = HostFunctions::log;
    return made;
  }();
  return &host;
}

axle_error make_error() {
  axle_error error = {};
  error.struct_size = sizeof(error);
  return error;
}

const axle_plugin *plugin_table() {
  static const axle_plugin *table = [] {
    void *library = dlopen(AXLE_CPU_PLUGIN_PATH, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      std::fprintf(stderr, "%s\n", dlerror());
      std::abort();
    }
    auto query = reinterpret_cast<const axle_plugin *(*)(uint32_t, uint32_t)>(
        dlsym(library, "axle_plugin_query"));
    return query(AXLE_ABI_MAJOR, AXLE_ABI_MINOR);
  }();
  return table;
}

std::string onnxruntime_path() {
  const char *path = std::getenv("AXLE_ONNXRUNTIME");
  return path == nullptr ? AXLE_ONNXRUNTIME_PATH : path;
}

void need_onnxruntime() {
  if (access(onnxruntime_path().c_str(), R_OK) == 0) return;
  skip("no ONNX Runtime at " + onnxruntime_path() + "; npm ci, or set AXLE_ONNXRUNTIME");
}

// ---- tasks

TestTask::TestTask(uint32_t op, axle_model *model) {
  task_.struct_size = sizeof(task_);
  task_.host_data = this;
  task_.op = op;
  task_.op_version = 1;
  task_.model = model;
  task_.output_bytes_max = 1u << 30;
}

TestTask &TestTask::input(const char *name, uint32_t dtype, std::vector<int64_t> dims,
                          std::string bytes, const std::vector<size_t> &cuts) {
  auto tensor = std::make_unique<Tensor>();
  tensor->has_name = name != nullptr;
  if (name != nullptr) tensor->name = name;
  tensor->dtype = dtype;
  tensor->dims = std::move(dims);
  size_t start = 0;
  for (const size_t cut : cuts) {
    tensor->pieces.push_back(bytes.substr(start, cut - start));
    start = cut;
  }
  tensor->pieces.push_back(bytes.substr(start));
  for (const std::string &piece : tensor->pieces) {
    tensor->segments.push_back({piece.data(), piece.size()});
  }
  tensors_.push_back(std::move(tensor));
  return *this;
}

TestTask &TestTask::range(uint32_t first, uint32_t last) {
  task_.chain_first = first;
  task_.chain_last = last;
  return *this;
}

TestTask &TestTask::arg(const char *name, int64_t value) {
  auto arg = std::make_unique<Arg>();
  arg->name = name;
  arg->arg = {};
  arg->arg.type = AXLE_ARG_INT;
  arg->arg.value.i = value;
  arg_list_.push_back(std::move(arg));
  return *this;
}

TestTask &TestTask::arg_bool(const char *name, bool value) {
  arg(name, static_cast<int64_t>(value));
  arg_list_.back()->arg.type = AXLE_ARG_BOOL;
  return *this;
}

TestTask &TestTask::arg(const char *name, const char *value) {
  arg(name, static_cast<int64_t>(0));
  Arg &made = *arg_list_.back();
  made.bytes = value;
  made.arg.type = AXLE_ARG_STRING;
  made.arg.value.data = made.bytes.data();
  made.arg.bytes = made.bytes.size();
  return *this;
}

TestTask &TestTask::arg(const char *name, const std::vector<float> &values) {
  arg(name, "");
  Arg &made = *arg_list_.back();
  made.bytes.assign(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
  made.arg.type = AXLE_ARG_BYTES;
  made.arg.value.data = made.bytes.data();
  made.arg.bytes = made.bytes.size();
  return *this;
}

TestTask &TestTask::output_bytes_max(uint64_t bytes) {
  task_.output_bytes_max = bytes;
  return *this;
}

TestTask &TestTask::deadline_ns(uint64_t at_ns) {
  task_.deadline_ns = at_ns;
  return *this;
}

TestTask &TestTask::stream_flags(uint32_t flags) {
  task_.stream_flags = flags;
  return *this;
}

axle_task *TestTask::raw() {
  input_list_.clear();
  for (const auto &tensor : tensors_) {
    axle_tensor made = {};
    made.name = tensor->has_name ? tensor->name.c_str() : nullptr;
    made.dtype = tensor->dtype;
    made.rank = static_cast<uint32_t>(tensor->dims.size());
    made.dims = tensor->dims.data();
    made.segments = tensor->segments.data();
    made.segment_count = tensor->segments.size();
    for (const axle_segment &segment : tensor->segments) made.bytes += segment.bytes;
    input_list_.push_back(made);
  }
  args_.clear();
  for (const auto &arg : arg_list_) {
    arg->arg.name = arg->name.c_str();
    args_.push_back(arg->arg);
  }
  task_.inputs = input_list_.data();
  task_.input_count = input_list_.size();
  task_.args = args_.data();
  task_.arg_count = args_.size();
  return &task_;
}

void TestTask::wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!done_.wait_for(lock, std::chrono::seconds(60), [this] { return completed_; })) {
    std::fprintf(stderr, "a task was not completed within a minute\n");
    std::abort();
  }
}

const Output &TestTask::output(size_t index) {
  if (status() != AXLE_STATUS_OK) fail(__FILE__, __LINE__, "the task failed: " + message_);
  if (index >= outputs_.size()) fail(__FILE__, __LINE__, "there is no such output");
  return outputs_[index];
}

// ---- plugin

Plugin::Plugin(Options options) : table_(plugin_table()) {
  bool has_path = false;
  for (const auto &[key, value] : options) has_path = has_path || key == "onnxruntime";
  if (!has_path) options.emplace_back("onnxruntime", onnxruntime_path());
  std::vector<axle_option> list;
  for (const auto &[key, value] : options) list.push_back({key.c_str(), value.c_str()});
  axle_error error = make_error();
  if (table_->open(test_host(), list.data(), list.size(), &instance_, &error) != AXLE_STATUS_OK ||
      table_->queue_open(instance_, 0, &queue_, &error) != AXLE_STATUS_OK) {
    fail(__FILE__, __LINE__, std::string("open: ") + error.message);
  }
}

Plugin::~Plugin() {
  for (axle_model *model : models_) table_->model_unload(instance_, model);
  table_->queue_close(instance_, queue_);
  table_->close(instance_);
}

int32_t Plugin::try_load(const std::vector<File> &files, const char *format, axle_model **model,
                         axle_error *error) {
  std::vector<axle_file> list;
  for (const File &file : files) {
    list.push_back({file.name.c_str(), file.bytes.data(), file.bytes.size()});
  }
  axle_model_source source = {};
  source.struct_size = sizeof(source);
  source.name = "test";
  source.format = format;
  source.files = list.data();
  source.file_count = list.size();
  return table_->model_load(instance_, 0, &source, model, error);
}

axle_model *Plugin::load(const std::vector<File> &files, const char *format) {
  axle_model *model = nullptr;
  axle_error error = make_error();
  if (try_load(files, format, &model, &error) != AXLE_STATUS_OK) {
    fail(__FILE__, __LINE__, std::string("load: ") + error.message);
  }
  models_.push_back(model);
  return model;
}

axle_error Plugin::load_error(const std::vector<File> &files, const char *format) {
  axle_model *model = nullptr;
  axle_error error = make_error();
  if (try_load(files, format, &model, &error) == AXLE_STATUS_OK) {
    models_.push_back(model);
    fail(__FILE__, __LINE__, "the model was loaded, and should not have been");
  }
  return error;
}

int32_t Plugin::submit(const std::vector<TestTask *> &tasks, axle_error *error) {
  std::vector<axle_task *> list;
  for (TestTask *task : tasks) list.push_back(task->raw());
  axle_error ignored = make_error();
  inside_submit = true;
  const int32_t status = table_->submit(instance_, queue_, list.data(), list.size(),
                                        error == nullptr ? &ignored : error);
  inside_submit = false;
  return status;
}

TestTask &Plugin::run(TestTask &task) {
  axle_error error = make_error();
  if (submit({&task}, &error) != AXLE_STATUS_OK) {
    fail(__FILE__, __LINE__, std::string("submit: ") + error.message);
  }
  task.wait();
  return task;
}

}  // namespace axle::test
