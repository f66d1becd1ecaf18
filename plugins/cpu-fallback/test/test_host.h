// SPDX-License-Identifier: Apache-2.0
//
// A host that loads the plugin as any other host would and watches that it keeps the contract.
#ifndef AXLE_CPU_TEST_TEST_HOST_H
#define AXLE_CPU_TEST_TEST_HOST_H

#include <axle/plugin.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace axle::test {

struct Output {
  std::string name;
  uint32_t dtype = 0;
  std::vector<int64_t> dims;
  std::string bytes;

  template <class T>
  std::vector<T> as() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }
};

// A task, its input memory and what came of it.
class TestTask {
 public:
  explicit TestTask(uint32_t op, axle_model *model = nullptr);

  // One tensor. `cuts` are the places where its bytes are cut into segments, each of its own memory.
  TestTask &input(const char *name, uint32_t dtype, std::vector<int64_t> dims, std::string bytes,
                  const std::vector<size_t> &cuts = {});
  template <class T>
  TestTask &tensor(const char *name, uint32_t dtype, std::vector<int64_t> dims,
                   const std::vector<T> &values) {
    return input(
        name, dtype, std::move(dims),
        std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)));
  }
  TestTask &range(uint32_t first, uint32_t last);
  TestTask &arg(const char *name, int64_t value);
  TestTask &arg_bool(const char *name, bool value);
  TestTask &arg(const char *name, const char *value);
  TestTask &arg(const char *name, const std::vector<float> &values);
  TestTask &output_bytes_max(uint64_t bytes);
  TestTask &deadline_ns(uint64_t at_ns);
  TestTask &stream_flags(uint32_t flags);
  void cancel() { cancelled_ = true; }

  axle_task *raw();

  // Blocks until it is completed, or ends the process after a minute.
  void wait();
  int32_t status() const { return completion_.status; }
  const axle_completion &completion() const { return completion_; }
  const std::string &message() const { return message_; }
  const std::vector<Output> &outputs() const { return outputs_; }
  // The output, once it is checked that the task succeeded.
  const Output &output(size_t index);

 private:
  friend struct HostFunctions;
  struct Tensor {
    std::string name;
    bool has_name = false;
    std::vector<int64_t> dims;
    std::vector<std::string> pieces;
    std::vector<axle_segment> segments;
    uint32_t dtype = 0;
  };
  struct Arg {
    std::string name;
    std::string bytes;
    axle_arg arg;
  };

  axle_task task_ = {};
  std::vector<std::unique_ptr<Tensor>> tensors_;
  std::vector<std::unique_ptr<Arg>> arg_list_;
  std::vector<axle_tensor> input_list_;
  std::vector<axle_arg> args_;

  std::mutex mutex_;
  std::condition_variable done_;
  bool completed_ = false;
  std::atomic<bool> cancelled_{false};
  std::map<void *, uint64_t> memory_;
  uint64_t memory_bytes_ = 0;
  axle_completion completion_ = {};
  std::string message_;
  std::vector<Output> outputs_;
};

struct File {
  std::string name;
  std::string bytes;
};

// The plugin, opened with options.
class Plugin {
 public:
  using Options = std::vector<std::pair<std::string, std::string>>;

  // Adds onnxruntime=... of this build unless the options name it. Fails the test when open fails.
  explicit Plugin(Options options = {});
  Plugin(const Plugin &) = delete;
  Plugin &operator=(const Plugin &) = delete;
  ~Plugin();

  const axle_plugin *table() const { return table_; }
  axle_instance *instance() const { return instance_; }
  axle_queue *queue() const { return queue_; }

  // Models stay loaded until the plugin is closed.
  axle_model *load(const std::vector<File> &files, const char *format = "onnx");
  axle_model *load(const std::string &model) { return load({{"model.onnx", model}}); }
  // The error of a load that fails.
  axle_error load_error(const std::vector<File> &files, const char *format = "onnx");

  int32_t submit(const std::vector<TestTask *> &tasks, axle_error *error = nullptr);
  // Submits it alone and waits.
  TestTask &run(TestTask &task);

 private:
  int32_t try_load(const std::vector<File> &files, const char *format, axle_model **model,
                   axle_error *error);

  const axle_plugin *table_;
  axle_instance *instance_ = nullptr;
  axle_queue *queue_ = nullptr;
  std::vector<axle_model *> models_;
};

const axle_plugin *plugin_table();
const axle_host *test_host();
axle_error make_error();
uint64_t now_ns();

// Ends the test as skipped where this machine has no ONNX Runtime.
void need_onnxruntime();
std::string onnxruntime_path();

// Breaches of the contract so far, by any plugin call of this process.
int breaches();

}  // namespace axle::test

#endif
