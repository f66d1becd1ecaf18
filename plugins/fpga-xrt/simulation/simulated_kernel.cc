// SPDX-License-Identifier: Apache-2.0
#include "simulated_kernel.h"

#include <verilated.h>

#include <cstring>
#include <utility>

#include "Vaxle_lz4_compress.h"

namespace axle::fpga {

namespace {

constexpr unsigned kWordBytes = 8;
constexpr unsigned kPageBytes = 4096;
constexpr uint8_t kOkay = 0;
constexpr uint8_t kSlaveError = 2;
constexpr unsigned kResetCycles = 4;
// A register is answered within a few cycles, however the channel is held back.
constexpr unsigned kRegisterCyclesMax = 10000;

}  // namespace

SimulatedKernel::SimulatedKernel(Memory memory, unsigned read_latency_cycles)
    : memory_(std::move(memory)),
      read_latency_cycles_(read_latency_cycles),
      context_(std::make_unique<VerilatedContext>()),
      model_(std::make_unique<Vaxle_lz4_compress>(context_.get())) {
  reset();
}

SimulatedKernel::~SimulatedKernel() { model_->final(); }

void SimulatedKernel::reset() {
  reads_.clear();
  writes_.clear();
  answers_.clear();
  write_failed_ = read_offered_ = false;
  write_address_ = write_data_ = read_address_ = Offer();
  Vaxle_lz4_compress &m = *model_;
  m.s_axi_control_awvalid = m.s_axi_control_wvalid = m.s_axi_control_bready = 0;
  m.s_axi_control_arvalid = m.s_axi_control_rready = 0;
  m.m_axi_gmem_bvalid = m.m_axi_gmem_rvalid = 0;
  m.ap_rst_n = 0;
  for (unsigned i = 0; i < kResetCycles; i++) step();
  m.ap_rst_n = 1;
  step();
}

void SimulatedKernel::complain(const char *what) {
  if (violation_.empty()) violation_ = std::string(what) + " in cycle " + std::to_string(cycles_);
}

void SimulatedKernel::check_offer(Offer *offer, bool valid, bool ready, uint64_t first,
                                  uint64_t second, const char *name) {
  const bool changed = first != offer->payload[0] || second != offer->payload[1];
  if (offer->waits && (!valid || changed)) complain(name);
  offer->waits = valid && !ready;
  offer->payload[0] = first;
  offer->payload[1] = second;
}

void SimulatedKernel::check_burst(uint64_t address, unsigned beats, const char *name) {
  if (address % kWordBytes != 0) complain(name);
  if (address / kPageBytes != (address + beats * kWordBytes - 1) / kPageBytes) complain(name);
}

void SimulatedKernel::step() {
  Vaxle_lz4_compress &m = *model_;
  if (m.ap_rst_n) take_outputs();
  m.ap_clk = 1;
  m.eval();
  cycles_++;
  m.ap_clk = 0;
  if (m.ap_rst_n) drive_inputs();
  m.eval();
}

// What passes at the rising edge to come.
void SimulatedKernel::take_outputs() {
  Vaxle_lz4_compress &m = *model_;
  check_offer(&write_address_, m.m_axi_gmem_awvalid, m.m_axi_gmem_awready, m.m_axi_gmem_awaddr,
              m.m_axi_gmem_awlen, "a write address changed while it waited");
  check_offer(&write_data_, m.m_axi_gmem_wvalid, m.m_axi_gmem_wready, m.m_axi_gmem_wdata,
              m.m_axi_gmem_wstrb | (uint64_t{m.m_axi_gmem_wlast} << 8),
              "written data changed while it waited");
  check_offer(&read_address_, m.m_axi_gmem_arvalid, m.m_axi_gmem_arready, m.m_axi_gmem_araddr,
              m.m_axi_gmem_arlen, "a read address changed while it waited");
  if (m.m_axi_gmem_awvalid && m.m_axi_gmem_awready) {
    const unsigned beats = m.m_axi_gmem_awlen + 1u;
    check_burst(m.m_axi_gmem_awaddr, beats, "a burst of writes passes a boundary of 4 KiB");
    writes_.push_back({m.m_axi_gmem_awaddr, beats, cycles_});
  }
  if (m.m_axi_gmem_wvalid && m.m_axi_gmem_wready) take_write_beat();
  if (m.m_axi_gmem_arvalid && m.m_axi_gmem_arready) {
    const unsigned beats = m.m_axi_gmem_arlen + 1u;
    check_burst(m.m_axi_gmem_araddr, beats, "a burst of reads passes a boundary of 4 KiB");
    reads_.push_back({m.m_axi_gmem_araddr, beats, cycles_ + read_latency_cycles_});
  }
  read_taken_ = m.m_axi_gmem_rvalid && m.m_axi_gmem_rready;
  answer_taken_ = m.m_axi_gmem_bvalid && m.m_axi_gmem_bready;
}

void SimulatedKernel::take_write_beat() {
  Vaxle_lz4_compress &m = *model_;
  if (writes_.empty()) {
    complain("data was written before its address");
    return;
  }
  Burst &burst = writes_.front();
  uint8_t *to = memory_(burst.address, kWordBytes);
  // A last word may reach past what is there; its strobes must not.
  uint8_t word[kWordBytes];
  const uint64_t data = m.m_axi_gmem_wdata;
  std::memcpy(word, &data, sizeof(word));
  for (unsigned i = 0; i < kWordBytes; i++) {
    if (((m.m_axi_gmem_wstrb >> i) & 1) == 0) continue;
    uint8_t *byte = to == nullptr ? memory_(burst.address + i, 1) : to + i;
    if (byte == nullptr) {
      write_failed_ = true;
    } else {
      *byte = word[i];
    }
  }
  burst.address += kWordBytes;
  burst.beats_left--;
  if ((burst.beats_left == 0) != (m.m_axi_gmem_wlast != 0)) complain("the last beat is not marked");
  if (burst.beats_left > 0) return;
  writes_.pop_front();
  answers_.push_back(write_failed_ ? kSlaveError : kOkay);
  write_failed_ = false;
}

void SimulatedKernel::drive_inputs() {
  Vaxle_lz4_compress &m = *model_;
  m.m_axi_gmem_awready = !held_back(Channel::kWriteAddress);
  m.m_axi_gmem_wready = !writes_.empty() && !held_back(Channel::kWriteData);
  m.m_axi_gmem_arready = !held_back(Channel::kReadAddress);
  if (answer_taken_) {
    answers_.pop_front();
    m.m_axi_gmem_bvalid = 0;
  }
  if (!m.m_axi_gmem_bvalid && !answers_.empty() && !held_back(Channel::kWriteAnswer)) {
    m.m_axi_gmem_bvalid = 1;
    m.m_axi_gmem_bresp = answers_.front();
  }
  if (read_taken_) {
    Burst &burst = reads_.front();
    burst.address += kWordBytes;
    if (--burst.beats_left == 0) reads_.pop_front();
    m.m_axi_gmem_rvalid = 0;
  }
  const bool read_comes = !reads_.empty() && reads_.front().ready_cycle <= cycles_;
  if (!m.m_axi_gmem_rvalid && read_comes && !held_back(Channel::kReadData)) {
    const Burst &burst = reads_.front();
    m.m_axi_gmem_rvalid = 1;
    m.m_axi_gmem_rlast = burst.beats_left == 1;
    // The kernel reads whole words: the last one may reach past what is there.
    uint64_t word = 0;
    m.m_axi_gmem_rresp = kOkay;
    if (const uint8_t *from = memory_(burst.address, kWordBytes)) {
      std::memcpy(&word, from, sizeof(word));
    } else if (memory_(burst.address, 1) != nullptr) {
      for (unsigned i = 0; i < kWordBytes; i++) {
        const uint8_t *byte = memory_(burst.address + i, 1);
        if (byte != nullptr) word |= uint64_t{*byte} << (8 * i);
      }
    } else {
      m.m_axi_gmem_rresp = kSlaveError;
    }
    m.m_axi_gmem_rdata = word;
  }
  read_taken_ = answer_taken_ = false;
}

void SimulatedKernel::write_register(uint32_t at, uint32_t value) {
  Vaxle_lz4_compress &m = *model_;
  m.s_axi_control_awaddr = at;
  m.s_axi_control_wdata = value;
  m.s_axi_control_wstrb = 0xf;
  bool address_taken = false;
  bool data_taken = false;
  bool answered = false;
  for (unsigned i = 0; !answered && i < kRegisterCyclesMax; i++) {
    if (!address_taken && !held_back(Channel::kControl)) m.s_axi_control_awvalid = 1;
    if (!data_taken && !held_back(Channel::kControl)) m.s_axi_control_wvalid = 1;
    m.s_axi_control_bready = !held_back(Channel::kControl);
    m.eval();
    const bool address_passes = m.s_axi_control_awvalid && m.s_axi_control_awready;
    const bool data_passes = m.s_axi_control_wvalid && m.s_axi_control_wready;
    answered = m.s_axi_control_bvalid && m.s_axi_control_bready;
    step();
    if (address_passes) {
      address_taken = true;
      m.s_axi_control_awvalid = 0;
    }
    if (data_passes) {
      data_taken = true;
      m.s_axi_control_wvalid = 0;
    }
  }
  m.s_axi_control_bready = 0;
  m.eval();
  if (!answered || !address_taken || !data_taken) complain("a register was not written");
}

uint32_t SimulatedKernel::read_register(uint32_t at) {
  Vaxle_lz4_compress &m = *model_;
  m.s_axi_control_araddr = at;
  m.s_axi_control_arvalid = 1;
  bool taken = false;
  for (unsigned i = 0; i < kRegisterCyclesMax; i++) {
    m.s_axi_control_rready = taken && !held_back(Channel::kControl);
    m.eval();
    const bool passes = m.s_axi_control_arvalid && m.s_axi_control_arready;
    const bool answered = m.s_axi_control_rvalid && m.s_axi_control_rready;
    const uint32_t value = m.s_axi_control_rdata;
    step();
    if (passes) {
      taken = true;
      m.s_axi_control_arvalid = 0;
    }
    if (!answered) continue;
    m.s_axi_control_rready = 0;
    m.eval();
    return value;
  }
  complain("a register was not read");
  return 0;
}

void SimulatedKernel::start(const uint64_t (&arguments)[5]) {
  uint32_t at = kFirstArgumentRegister;
  for (const uint64_t argument : arguments) {
    write_register(at, static_cast<uint32_t>(argument));
    write_register(at + 4, static_cast<uint32_t>(argument >> 32));
    at += 8;
  }
  write_register(kControlRegister, kStartBit);
}

bool SimulatedKernel::finish(uint64_t cycles_max) {
  constexpr unsigned kPollCycles = 16;
  const uint64_t end = cycles_ + cycles_max;
  while (cycles_ < end) {
    if ((read_register(kControlRegister) & kDoneBit) != 0) return true;
    for (unsigned i = 0; i < kPollCycles; i++) step();
  }
  return false;
}

}  // namespace axle::fpga
