// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_CARD_H
#define AXLE_FPGA_CARD_H

#include <axle/plugin.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "block_slot.h"
#include "card_handles.h"
#include "common/failure.h"
#include "options.h"

namespace axle::fpga {

// Most jobs that wait for a thread of one card.
constexpr size_t kQueuedJobsMax = 65536;

// What one thread of a card works with: blocks of its task that the card has at once.
using BlockSlots = std::vector<std::unique_ptr<BlockSlot>>;

// One card, with threads that bring tasks to it. All that it needs is made by the constructor.
class Card {
 public:
  using Job = std::function<void(BlockSlots &)>;
  // Told instead of the job where the card cannot be used; must not throw either.
  using Refusal = std::function<void(const Reason &)>;

  // Throws Failure.
  Card(const XrtLibrary &library, const XclbinFile &xclbin, const Options &options, unsigned index);
  // Runs what waits.
  ~Card();
  Card(const Card &) = delete;
  Card &operator=(const Card &) = delete;

  const std::string &id() const { return id_; }
  const std::string &name() const { return name_; }
  const Options &options() const { return options_; }

  // Why the card cannot be used any more, or OK.
  Reason lost() const;
  // Nothing is run on it from now on.
  void lose(const Reason &reason) noexcept;

  struct Work {
    Job job;
    Refusal refusal;
  };
  // All, in their order, or none: false when too many wait. Any thread.
  [[nodiscard]] bool submit(std::vector<Work> work);

 private:
  void run_thread(BlockSlots &slots);
  void stop() noexcept;

  const Options options_;
  const std::string id_;
  const std::string name_;
  const CardHandles handles_;
  std::vector<BlockSlots> slots_;  // of each thread

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Work> work_;
  Reason lost_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace axle::fpga

#endif
