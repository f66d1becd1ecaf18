// SPDX-License-Identifier: Apache-2.0
//
// The part of XRT's public C API that the plugin uses, on cards that are simulated: the library takes the place of
// libxrt_coreutil.so.2. It shows that what the plugin does with XRT, and the kernel with the card, is right; nothing here
// says how fast a card would be.
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>

#include "../src/xrt/api.h"
#include "card.h"
#include "settings.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))

using namespace axle::fpga;            // NOLINT: the declarations say whose they are
using namespace axle::fpga::emulated;  // NOLINT

namespace {

constexpr size_t kXclbinUuidAt = 416;
constexpr int kStateRunning = 3;
constexpr int kBuffers = 3;  // arguments that are one

struct OpenKernel {
  Card *card;
};

// One card, which lives as long as a handle to it.
std::mutex card_mutex;
std::unique_ptr<Card> the_card;
unsigned card_handles = 0;

}  // namespace

EXPORTED const char axle_emulated_xrt[];
const char axle_emulated_xrt[] = "Verilated kernels of Axle behind XRT's API";

EXPORTED xrt::Device xrtDeviceOpen(unsigned int index) {
  const std::string wrong = fault();
  if (wrong == "abort") std::abort();
  if (index != 0 || wrong == "none") return nullptr;
  std::lock_guard<std::mutex> lock(card_mutex);
  if (card_handles++ == 0) the_card = std::make_unique<Card>();
  return the_card.get();
}

EXPORTED int xrtDeviceClose(xrt::Device) {
  std::lock_guard<std::mutex> lock(card_mutex);
  if (--card_handles == 0) the_card.reset();
  return 0;
}

EXPORTED int xrtDeviceLoadXclbinFile(xrt::Device device, const char *path) {
  std::ifstream file(path, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  if (fault() == "load" || all.compare(0, 7, "xclbin2") != 0) return -1;
  auto &uuid = static_cast<Card *>(device)->uuid;
  if (all.size() < kXclbinUuidAt + uuid.size()) return -1;
  std::memcpy(uuid.data(), all.data() + kXclbinUuidAt, uuid.size());
  return 0;
}

EXPORTED int xrtDeviceGetXclbinUUID(xrt::Device device, unsigned char *uuid) {
  const auto &loaded = static_cast<Card *>(device)->uuid;
  std::memcpy(uuid, loaded.data(), loaded.size());
  if (fault() == "uuid") uuid[0] ^= 1;
  return 0;
}

EXPORTED xrt::Kernel xrtPLKernelOpen(xrt::Device device, const unsigned char *uuid,
                                     const char *name) {
  auto *card = static_cast<Card *>(device);
  const bool same = std::memcmp(uuid, card->uuid.data(), card->uuid.size()) == 0;
  const bool known = std::strcmp(name, "axle_lz4_compress") == 0 && fault() != "kernel";
  return same && known ? new OpenKernel{card} : nullptr;
}

EXPORTED int xrtKernelClose(xrt::Kernel kernel) {
  delete static_cast<OpenKernel *>(kernel);
  return 0;
}

EXPORTED int xrtKernelArgGroupId(xrt::Kernel, int argument) {
  return argument >= 0 && argument < kBuffers ? 0 : -1;
}

EXPORTED xrt::Run xrtRunOpen(xrt::Kernel kernel) {
  auto *run = new Run;
  run->card = static_cast<OpenKernel *>(kernel)->card;
  return run;
}

EXPORTED int xrtRunSetArg(xrt::Run handle, int index, ...) {
  auto *run = static_cast<Run *>(handle);
  if (index < 0 || static_cast<size_t>(index) >= run->arguments.size()) return -1;
  va_list values;
  va_start(values, index);
  run->arguments[static_cast<size_t>(index)] =
      index < kBuffers ? static_cast<Buffer *>(va_arg(values, void *))->address
                       : va_arg(values, uint64_t);
  va_end(values);
  return 0;
}

EXPORTED int xrtRunStart(xrt::Run handle) {
  auto *run = static_cast<Run *>(handle);
  run->card->start(run);
  return 0;
}

EXPORTED int xrtRunWaitFor(xrt::Run handle, unsigned int timeout_ms) {
  auto *run = static_cast<Run *>(handle);
  switch (run->card->wait(run, timeout_ms)) {
    case RunState::kCompleted:
      return xrt::kStateCompleted;
    case RunState::kError:
      return xrt::kStateError;
    default:
      return kStateRunning;
  }
}

EXPORTED int xrtRunClose(xrt::Run handle) {
  delete static_cast<Run *>(handle);
  return 0;
}

EXPORTED xrt::Buffer xrtBOAlloc(xrt::Device device, size_t bytes, uint64_t, uint32_t) {
  return fault() == "memory" ? nullptr : static_cast<Card *>(device)->allocate(bytes);
}

EXPORTED int xrtBOFree(xrt::Buffer handle) {
  auto *buffer = static_cast<Buffer *>(handle);
  buffer->card->free(buffer);
  return 0;
}

EXPORTED void *xrtBOMap(xrt::Buffer handle) { return static_cast<Buffer *>(handle)->host.data(); }

EXPORTED int xrtBOSync(xrt::Buffer handle, int direction, size_t bytes, size_t offset) {
  auto *buffer = static_cast<Buffer *>(handle);
  if (offset > buffer->host.size() || bytes > buffer->host.size() - offset) return -1;
  uint8_t *host = buffer->host.data() + offset;
  uint8_t *device = buffer->device.data() + offset;
  if (direction == xrt::kToDevice) {
    std::memcpy(device, host, bytes);
  } else {
    std::memcpy(host, device, bytes);
  }
  return 0;
}
