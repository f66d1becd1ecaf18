// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_EMULATED_CARD_H
#define AXLE_FPGA_EMULATED_CARD_H

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace axle::fpga::emulated {

class Card;

// Memory of the card, and the host's copy of it: as on a card, one becomes the other only where it is synchronised.
struct Buffer {
  Card *card;
  uint64_t address;
  std::vector<uint8_t> host;
  std::vector<uint8_t> device;
};

enum class RunState { kNew, kQueued, kCompleted, kError };

struct Run {
  Card *card;
  std::array<uint64_t, 5> arguments = {};
  RunState state = RunState::kNew;
};

// A card whose compute units are Verilated kernels, each on a thread of its own.
class Card {
 public:
  Card() = default;
  ~Card();
  Card(const Card &) = delete;
  Card &operator=(const Card &) = delete;

  Buffer *allocate(size_t bytes);
  void free(Buffer *buffer);

  void start(Run *run);
  RunState wait(Run *run, unsigned timeout_ms);

  std::array<unsigned char, 16> uuid = {};

 private:
  void run_unit();
  uint8_t *at(uint64_t address, size_t bytes);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, std::unique_ptr<Buffer>> buffers_;
  uint64_t next_address_ = uint64_t{1} << 38;  // no pointer of the host looks so
  std::deque<Run *> queue_;
  uint64_t runs_started_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> units_;
};

}  // namespace axle::fpga::emulated

#endif
