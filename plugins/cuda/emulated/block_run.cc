// SPDX-License-Identifier: Apache-2.0
#include "block_run.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "fiber.h"
#include "target_host.h"

namespace axle::cuda::kernels {

thread_local Place place;

}  // namespace axle::cuda::kernels

namespace axle::cuda::emulated {

namespace {

using kernels::Exchanged;
using kernels::place;

constexpr unsigned kLanes = 32;
constexpr unsigned char kFresh = 0xA5;

// The lanes of a warp bring a value each; when all have, the next round begins. A lane may be one round
// ahead of another but not two, so two sets of values will do.
struct Warp {
  Exchanged rounds[2] = {};
  unsigned round = 0;
  unsigned arrived = 0;
};

// One block of a kernel at a time, with what it keeps for the next.
class BlockRun {
 public:
  void run(KernelCall call, void **arguments, unsigned block, unsigned grid_blocks,
           unsigned block_threads) {
    call_ = call;
    arguments_ = arguments;
    threads_ = block_threads;
    blocks_++;
    ended_ = 0;
    barrier_arrived_ = 0;
    barrier_round_ = 0;
    while (fibers_.size() < threads_) fibers_.emplace_back(Fiber::make());
    warps_.assign((threads_ + kLanes - 1) / kLanes, Warp());
    done_.assign(threads_, false);
    for (unsigned i = 0; i < threads_; i++) fibers_[i]->start(&BlockRun::fiber_body);
    place.block = block;
    place.grid_blocks = grid_blocks;
    place.block_threads = threads_;
    place.thread = 0;
    fibers_[0]->switch_from(outside_);
  }

  void sync_threads() {
    const unsigned round = barrier_round_;
    if (++barrier_arrived_ == threads_) {
      barrier_arrived_ = 0;
      barrier_round_++;
      waits_ = 0;
      return;
    }
    while (barrier_round_ == round) wait();
  }

  const Exchanged &exchange(uint32_t mine) {
    Warp &warp = warps_[place.thread / kLanes];
    const unsigned round = warp.round;
    const unsigned lane = place.thread % kLanes;
    Exchanged &all = warp.rounds[round % 2];
    if (warp.arrived == 0) all.set = 0;
    all.values[lane] = mine;
    all.set |= (mine != 0 ? 1u : 0u) << lane;
    if (++warp.arrived == kLanes) {
      warp.arrived = 0;
      warp.round++;
      waits_ = 0;
    } else {
      while (warp.round == round) wait();
    }
    return all;
  }

  void *shared_memory(const void *key, size_t bytes) {
    Shared &memory = shared_[key];
    if (memory.block != blocks_) {
      memory.bytes.assign(bytes, kFresh);
      memory.block = blocks_;
    }
    return memory.bytes.data();
  }

  static BlockRun &of_thread() {
    static thread_local BlockRun run;
    current = &run;
    return run;
  }
  static thread_local BlockRun *current __attribute__((tls_model("initial-exec")));

 private:
  static void fiber_body() {
    BlockRun &self = *current;
    self.call_(self.arguments_);
    self.end_thread();
  }

  void end_thread() {
    Fiber &self = *fibers_[place.thread];
    done_[place.thread] = true;
    waits_ = 0;
    if (++ended_ == threads_) {
      outside_.switch_from(self, true);
    } else {
      to_next(self, true);
    }
  }

  // Lets the others go on.
  void wait() {
    if (++waits_ > 2u * threads_) stuck();
    to_next(*fibers_[place.thread], false);
  }

  [[gnu::cold, gnu::noinline]] static void stuck() {
    std::fprintf(
        stderr,
        "emulated CUDA: thread %u of block %u waits at a point that others of its block or "
        "warp never reach\n",
        place.thread, place.block);
    std::abort();
  }

  void to_next(Fiber &self, bool ends) {
    const unsigned mine = place.thread;
    unsigned next = mine;
    do {
      next = next + 1 == threads_ ? 0 : next + 1;
    } while (done_[next]);
    if (next == mine) return;
    place.thread = next;
    fibers_[next]->switch_from(self, ends);
    place.thread = mine;
  }

  struct Shared {
    std::vector<unsigned char> bytes;
    uint64_t block = 0;  // that last asked for it
  };

  Fiber outside_;
  std::map<const void *, Shared> shared_;
  uint64_t blocks_ = 0;  // so far
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Warp> warps_;
  std::vector<char> done_;
  KernelCall call_ = nullptr;
  void **arguments_ = nullptr;
  unsigned threads_ = 0;
  unsigned ended_ = 0;
  unsigned barrier_arrived_ = 0;
  unsigned barrier_round_ = 0;
  unsigned waits_ = 0;  // since something last went on
};

thread_local BlockRun *BlockRun::current = nullptr;

}  // namespace

void run_grid(KernelCall call, void **arguments, unsigned grid_blocks, unsigned block_threads) {
  BlockRun &run = BlockRun::of_thread();
  for (unsigned block = 0; block < grid_blocks; block++) {
    run.run(call, arguments, block, grid_blocks, block_threads);
  }
}

}  // namespace axle::cuda::emulated

namespace axle::cuda::kernels {

void sync_threads() { emulated::BlockRun::current->sync_threads(); }
void *shared_memory(const void *key, size_t bytes) {
  return emulated::BlockRun::current->shared_memory(key, bytes);
}
const Exchanged &exchange(uint32_t mine) { return emulated::BlockRun::current->exchange(mine); }

}  // namespace axle::cuda::kernels
