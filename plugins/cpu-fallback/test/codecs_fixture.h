// SPDX-License-Identifier: Apache-2.0
//
// What the tests, the fuzzer and the benchmark of the codecs share.
#ifndef AXLE_CPU_TEST_CODECS_FIXTURE_H
#define AXLE_CPU_TEST_CODECS_FIXTURE_H

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "../src/codecs/codec.h"
#include "../src/worker_pool.h"

namespace axle::cpu::test {

using Bytes = std::vector<uint8_t>;

// A pool of which the caller is one thread.
class PoolExecutor : public Executor {
 public:
  explicit PoolExecutor(unsigned threads) : threads_(threads), pool_(threads, 1) {}
  unsigned threads() const override { return threads_; }
  void parallel_for(size_t n, const std::function<void(size_t)> &fn) override {
    if (threads_ == 1) {
      for (size_t i = 0; i < n; i++) fn(i);
    } else {
      pool_.parallel_for(n, fn);
    }
  }

 private:
  const unsigned threads_;
  WorkerPool pool_;
};

// Keeps the host's rules: a cap on all live memory, one call at a time, nothing left behind.
class TestTask : public Task {
 public:
  explicit TestTask(uint64_t bytes_max = UINT64_MAX) : bytes_max_(bytes_max) {}
  ~TestTask() override {
    if (!live_.empty()) std::abort();
  }

  uint8_t *alloc(uint64_t bytes) override {
    const Entered entered(busy_);
    if (bytes > bytes_max_ - allocated_) return nullptr;
    auto *data = static_cast<uint8_t *>(std::malloc(bytes));
    live_[data] = bytes;
    allocated_ += bytes;
    peak_ = std::max(peak_, allocated_);
    return data;
  }
  uint8_t *resize(uint8_t *data, uint64_t bytes) override {
    const Entered entered(busy_);
    const uint64_t before = live_.at(data);
    if (bytes > before && bytes - before > bytes_max_ - allocated_) return nullptr;
    live_.erase(data);
    auto *moved = static_cast<uint8_t *>(std::realloc(data, bytes));
    live_[moved] = bytes;
    allocated_ += bytes - before;
    peak_ = std::max(peak_, allocated_);
    return moved;
  }
  void release(uint8_t *data) override {
    const Entered entered(busy_);
    allocated_ -= live_.at(data);
    live_.erase(data);
    std::free(data);
  }
  bool emit(uint8_t *data, uint64_t bytes) override {
    const Entered entered(busy_);
    emitted_ += bytes;
    chunks_++;
    if (data == nullptr) {
      if (bytes > 0) std::abort();
      return true;
    }
    if (bytes > live_.at(data)) std::abort();
    live_.erase(data);
    if (keep_) output_.insert(output_.end(), data, data + bytes);
    std::free(data);
    return true;
  }
  bool cancelled() const override {
    polls_.fetch_add(1, std::memory_order_relaxed);
    return cancel_.load(std::memory_order_relaxed);
  }

  void cancel() { cancel_ = true; }
  // The bytes of the output are counted and not kept.
  void drop_output() { keep_ = false; }
  const Bytes &output() const { return output_; }
  uint64_t emitted() const { return emitted_; }
  uint64_t chunks() const { return chunks_; }
  uint64_t peak() const { return peak_; }
  uint64_t polls() const { return polls_; }

 private:
  class Entered {
   public:
    explicit Entered(std::atomic<bool> &busy) : busy_(busy) {
      if (busy_.exchange(true)) std::abort();
    }
    ~Entered() { busy_ = false; }

   private:
    std::atomic<bool> &busy_;
  };

  const uint64_t bytes_max_;
  std::map<uint8_t *, uint64_t> live_;
  uint64_t allocated_ = 0;
  uint64_t peak_ = 0;
  uint64_t emitted_ = 0;
  uint64_t chunks_ = 0;
  bool keep_ = true;
  Bytes output_;
  std::atomic<bool> busy_{false};
  std::atomic<bool> cancel_{false};
  mutable std::atomic<uint64_t> polls_{0};
};

// xorshift64*, for data that is the same on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2685821657736338717u + 1) {}
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 2685821657736338717u;
  }
  uint64_t below(uint64_t n) { return (next() >> 11) % n; }

 private:
  uint64_t state_;
};

// Words from a small vocabulary, with some noise: shrinks about as text does.
inline Bytes text_of(size_t bytes, uint64_t seed = 1) {
  Random random(seed);
  std::vector<std::string> words;
  for (int i = 0; i < 2000; i++) {
    std::string word;
    for (uint64_t n = 2 + random.below(9); n > 0; n--) {
      word += static_cast<char>('a' + random.below(26));
    }
    words.push_back(word);
  }
  Bytes text;
  text.reserve(bytes + 16);
  while (text.size() < bytes) {
    const std::string &word = words[random.below(50) == 0 ? random.below(2000) : random.below(200)];
    text.insert(text.end(), word.begin(), word.end());
    text.push_back(random.below(12) == 0 ? '\n' : ' ');
  }
  text.resize(bytes);
  return text;
}

inline Bytes noise_of(size_t bytes, uint64_t seed = 1) {
  Random random(seed);
  Bytes noise(bytes);
  for (uint8_t &byte : noise) byte = static_cast<uint8_t>(random.next() >> 56);
  return noise;
}

}  // namespace axle::cpu::test

#endif
