// SPDX-License-Identifier: Apache-2.0
//
// The Verilated kernel axle_lz4_compress between a memory and its control registers. Both are slaves that keep to AXI,
// and that watch whether the kernel does.
#ifndef AXLE_FPGA_SIMULATION_SIMULATED_KERNEL_H
#define AXLE_FPGA_SIMULATION_SIMULATED_KERNEL_H

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

class VerilatedContext;
class Vaxle_lz4_compress;

namespace axle::fpga {

enum class Channel { kWriteAddress, kWriteData, kWriteAnswer, kReadAddress, kReadData, kControl };

// Offsets of the control registers; see control_registers.sv.
constexpr uint32_t kControlRegister = 0x00;
constexpr uint32_t kFirstArgumentRegister = 0x10;
constexpr uint32_t kStartBit = 1;
constexpr uint32_t kDoneBit = 2;
constexpr uint32_t kIdleBit = 4;

class SimulatedKernel {
 public:
  // The memory from `address` on, all of `bytes`, or nullptr where there is none: the access then fails.
  using Memory = std::function<uint8_t *(uint64_t address, size_t bytes)>;
  // Whether a channel holds back in this cycle.
  using Pressure = std::function<bool(Channel channel)>;

  explicit SimulatedKernel(Memory memory, unsigned read_latency_cycles = 64);
  ~SimulatedKernel();
  SimulatedKernel(const SimulatedKernel &) = delete;
  SimulatedKernel &operator=(const SimulatedKernel &) = delete;

  void set_pressure(Pressure pressure) { pressure_ = std::move(pressure); }

  // What is under way is lost, as where a card is reset.
  void reset();
  void step();
  void write_register(uint32_t at, uint32_t value);
  uint32_t read_register(uint32_t at);

  // Sets the 64-bit arguments and starts a run.
  void start(const uint64_t (&arguments)[5]);
  // Steps until the run has ended; false where it has not after so many cycles.
  bool finish(uint64_t cycles_max);

  uint64_t cycles() const { return cycles_; }
  // The first rule of AXI that the kernel broke, or nothing.
  const std::string &violation() const { return violation_; }

 private:
  struct Burst {
    uint64_t address;
    unsigned beats_left;
    uint64_t ready_cycle;
  };
  // A channel's payload, which must stay while it waits.
  struct Offer {
    bool waits = false;
    uint64_t payload[2] = {};
  };

  bool held_back(Channel channel) { return pressure_ && pressure_(channel); }
  void complain(const char *what);
  void check_offer(Offer *offer, bool valid, bool ready, uint64_t first, uint64_t second,
                   const char *name);
  void check_burst(uint64_t address, unsigned beats, const char *name);
  void take_outputs();
  void take_write_beat();
  void drive_inputs();

  Memory memory_;
  Pressure pressure_;
  const unsigned read_latency_cycles_;
  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Vaxle_lz4_compress> model_;
  uint64_t cycles_ = 0;
  std::string violation_;
  std::deque<Burst> reads_;
  std::deque<Burst> writes_;
  std::deque<uint8_t> answers_;
  bool write_failed_ = false;
  bool read_offered_ = false;
  bool read_taken_ = false;
  bool answer_taken_ = false;
  Offer write_address_, write_data_, read_address_;
};

}  // namespace axle::fpga

#endif
