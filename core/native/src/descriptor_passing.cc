// SPDX-License-Identifier: Apache-2.0
// SCM_RIGHTS: unix(7), cmsg(3).
#include "descriptor_passing.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "status.h"

namespace axle::host {
namespace {

using Clock = std::chrono::steady_clock;

// Room for more than is wanted, so that what else comes is seen, and closed.
constexpr size_t kDescriptorsSeen = 8;
constexpr useconds_t kConnectRetryUs = 5000;

union ControlBuffer {
  char bytes[CMSG_SPACE(kDescriptorsSeen * sizeof(int))];
  cmsghdr alignment;
};

[[noreturn]] void unavailable(const char *what) {
  fail(AXLE_STATUS_UNAVAILABLE, "cannot %s: %s", what, strerror(errno));
}

[[noreturn]] void late() {
  fail(AXLE_STATUS_DEADLINE_EXCEEDED, "the server did not hand over its memory in time");
}

void wait_for(int socket, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) late();
    pollfd waiting{socket, events, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(left));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) unavailable("wait for the server");
  }
}

Descriptor connect_to(const std::string &path, Clock::time_point deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "the path of the socket has %zu bytes; the system takes %zu",
         path.size(), sizeof address.sun_path - 1);
  }
  memcpy(address.sun_path, path.c_str(), path.size());
  Descriptor connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection.is_open()) unavailable("make a socket");
  for (;;) {
    if (connect(connection.number(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0) {
      return connection;
    }
    if (errno == EINTR) continue;
    // A unix socket is connected at once, or its listener has too many waiting, of whose end nothing tells.
    if (errno != EAGAIN) unavailable("connect to the server");
    if (Clock::now() >= deadline) late();
    usleep(kConnectRetryUs);
  }
}

void send_all(int socket, const std::vector<uint8_t> &bytes, Clock::time_point deadline) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      wait_for(socket, POLLOUT, deadline);
    } else if (errno != EINTR) {
      unavailable("write to the server");
    }
  }
}

// Keeps the first, closes the rest.
void take_descriptors(const msghdr &message, Descriptor *kept) {
  for (cmsghdr *header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(const_cast<msghdr *>(&message), header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int number = -1;
      memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
      Descriptor descriptor(number);
      if (!kept->is_open()) *kept = std::move(descriptor);
    }
  }
}

}  // namespace

void send_with_descriptor(int socket, const void *data, size_t bytes,
                          const Descriptor &descriptor) {
  ControlBuffer control{};
  iovec part{const_cast<void *>(data), bytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(sizeof(int));
  cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = descriptor.number();
  memcpy(CMSG_DATA(header), &number, sizeof number);
  const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) unavailable("hand over shared memory");
  if (static_cast<size_t>(sent) != bytes) {
    fail(AXLE_STATUS_UNAVAILABLE, "the socket took %zd of %zu bytes with the shared memory", sent,
         bytes);
  }
}

DescriptorAnswer ask_for_descriptor(const std::string &path, const std::vector<uint8_t> &request,
                                    size_t bytes_max, uint32_t timeout_ms) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  const Descriptor connection = connect_to(path, deadline);
  send_all(connection.number(), request, deadline);
  DescriptorAnswer answer;
  for (;;) {
    ControlBuffer control{};
    uint8_t chunk[512];
    iovec part{chunk, sizeof chunk};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    const ssize_t count = recvmsg(connection.number(), &message, MSG_CMSG_CLOEXEC);
    if (count < 0) {
      if (errno == EAGAIN) {
        wait_for(connection.number(), POLLIN, deadline);
      } else if (errno != EINTR) {
        unavailable("read from the server");
      }
      continue;
    }
    take_descriptors(message, &answer.descriptor);
    if (count == 0) return answer;
    if (answer.bytes.size() + static_cast<size_t>(count) > bytes_max) {
      fail(AXLE_STATUS_FAILED_PRECONDITION, "the server answered more than %zu bytes", bytes_max);
    }
    answer.bytes.insert(answer.bytes.end(), chunk, chunk + count);
  }
}

}  // namespace axle::host
