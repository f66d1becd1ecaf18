// SPDX-License-Identifier: Apache-2.0
// File descriptors over unix sockets, which Node's streams drop.
#ifndef AXLE_HOST_DESCRIPTOR_PASSING_H
#define AXLE_HOST_DESCRIPTOR_PASSING_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "shared_memory.h"

namespace axle::host {

// Sends the bytes at once, with the descriptor on the first of them. Throws StatusError UNAVAILABLE when the socket does
// not take them all: there is no waiting.
void send_with_descriptor(int socket, const void *data, size_t bytes, const Descriptor &descriptor);

struct DescriptorAnswer {
  std::vector<uint8_t> bytes;
  Descriptor descriptor;
};

// Connects to a unix socket, says the request, and takes what is answered until the other side closes: at most
// `bytes_max` bytes and one descriptor; more of these are closed at once. Blocks for `timeout_ms` at most. Throws
// StatusError UNAVAILABLE, DEADLINE_EXCEEDED.
DescriptorAnswer ask_for_descriptor(const std::string &path, const std::vector<uint8_t> &request,
                                    size_t bytes_max, uint32_t timeout_ms);

}  // namespace axle::host

#endif  // AXLE_HOST_DESCRIPTOR_PASSING_H
