// SPDX-License-Identifier: Apache-2.0
//
// The emulated devices: their memory, their streams and what has gone wrong with them.
#ifndef AXLE_CUDA_EMULATED_MACHINE_H
#define AXLE_CUDA_EMULATED_MACHINE_H

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "../src/driver/api.h"
#include "settings.h"

namespace axle::cuda::emulated {

// One range of memory per allocation, with pages before and after it that nobody may touch. New memory is
// full of 0xA5: what a kernel reads and nobody wrote shows.
class Ranges {
 public:
  ~Ranges();
  void *add(size_t bytes);  // NULL when the system has none
  bool remove(void *base);
  // Whether [at, at + bytes) lies in one range.
  bool contains(uintptr_t at, size_t bytes) const;
  uint64_t total_bytes() const;
  size_t count() const;

 private:
  mutable std::mutex mutex_;
  std::map<uintptr_t, size_t> ranges_;
  uint64_t total_bytes_ = 0;
};

class Device;

// Has its own order: operations run one after another on its thread, long after the call that asked for
// them returned.
class Stream {
 public:
  explicit Stream(Device &device);
  ~Stream();  // runs what waits

  Device &device() const { return device_; }
  void add(std::function<cu::Result()> operation);
  void wait_idle();

 private:
  void run();

  Device &device_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<std::function<cu::Result()>> operations_;
  bool busy_ = false;
  bool ending_ = false;
  std::thread thread_;
};

// Counts how often it was recorded and how often a stream has come to that point.
class Event {
 public:
  uint64_t record();
  void reach(uint64_t record);
  void wait();                 // for the last record
  void wait(uint64_t record);  // for that one
  uint64_t recorded();

 private:
  std::mutex mutex_;
  std::condition_variable reached_changed_;
  uint64_t recorded_ = 0;
  uint64_t reached_ = 0;
};

class Device {
 public:
  Device(int ordinal, const Settings &settings);

  const int ordinal;
  Ranges memory;

  cu::Result alloc(size_t bytes, cu::Ptr *pointer);
  cu::Result free(cu::Ptr pointer);
  // The error that ended the context, or success.
  cu::Result state() const { return state_; }
  void end_context(cu::Result why) { state_ = why; }
  void wait_idle();

  cu::Result retain();
  cu::Result release();
  bool has_context() const { return contexts_ > 0; }

  // Faults on demand: true when this is the one that was asked for.
  bool launch_fails();
  bool is_lost();
  // What a byte is that is to be wiped.
  int poison() const { return static_cast<int>(settings().poison); }
  void copy_takes(size_t bytes) const;
  void configure(const Settings &settings);

  void add(Stream *stream);
  void remove(Stream *stream);

 private:
  Settings settings() const;
  static bool counts_down(std::atomic<uint64_t> &count);

  mutable std::mutex mutex_;
  Settings settings_;
  std::atomic<cu::Result> state_{cu::kSuccess};
  std::atomic<uint64_t> alloc_fails_{0};
  std::atomic<uint64_t> launch_fails_{0};
  std::atomic<uint64_t> lost_{0};
  std::atomic<int> contexts_{0};
  std::vector<Stream *> streams_;
};

// All there is, of one process.
struct Machine {
  std::mutex mutex;
  Settings settings;
  bool initialised = false;
  std::vector<std::unique_ptr<Device>> devices;
  size_t visible = 0;  // the first so many of them are there
  Ranges pinned;

  static Machine &get();
  // `configured` NULL: as the environment says.
  cu::Result initialise(const char *configured);
};

}  // namespace axle::cuda::emulated

#endif
