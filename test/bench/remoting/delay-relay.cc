// SPDX-License-Identifier: Apache-2.0
//
// delay-relay LISTEN TARGET ONE_WAY_US: passes bytes between unix sockets, each way later by so many microseconds and
// otherwise as they come: what arrives while others wait, waits behind them no longer than its own delay. Prints "ready";
// for each line on standard input it prints what passed since the last one:
//   {"flights": times that the client spoke after the server had, "up": bytes, "down": bytes}
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <list>
#include <string>
#include <vector>

namespace {

constexpr size_t kChunkBytes = 256 * 1024;
// Past it nothing more is read, so that a relay holds no more than a network would.
constexpr size_t kHeldBytesMax = 64 * 1024 * 1024;

struct Counts {
  unsigned long long flights = 0;
  unsigned long long up = 0;
  unsigned long long down = 0;
};

struct Chunk {
  int64_t due_ns;
  std::vector<char> bytes;
  size_t sent;
};

struct Way {
  int from;
  int to;
  bool is_up;
  std::deque<Chunk> chunks{};
  size_t held = 0;
  bool ended = false;
  bool blocked = false;
};

struct Pair {
  Way up;
  Way down;
  bool client_speaks = false;
};

int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

int unix_socket(const char *path, sockaddr_un *address) {
  std::memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  std::snprintf(address->sun_path, sizeof address->sun_path, "%s", path);
  return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

[[noreturn]] void fail(const char *what) {
  std::perror(what);
  std::exit(1);
}

void accept_pair(int listener, const char *target, std::list<Pair> *pairs) {
  const int client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (client < 0) fail("accept");
  sockaddr_un address;
  const int server = unix_socket(target, &address);
  if (connect(server, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) fail(target);
  fcntl(server, F_SETFL, O_NONBLOCK);
  pairs->push_back(Pair{{client, server, true}, {server, client, false}});
}

void take(Way *way, Pair *pair, int64_t delay_ns, Counts *counts) {
  Chunk chunk{0, std::vector<char>(kChunkBytes), 0};
  const ssize_t got = read(way->from, chunk.bytes.data(), chunk.bytes.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  chunk.bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
  chunk.due_ns = now_ns() + delay_ns;
  way->ended = got <= 0;
  way->held += chunk.bytes.size();
  if (got > 0 && way->is_up && !pair->client_speaks) counts->flights += 1;
  if (got > 0) pair->client_speaks = way->is_up;
  (way->is_up ? counts->up : counts->down) += chunk.bytes.size();
  way->chunks.push_back(std::move(chunk));
}

// What is due; an empty chunk stands for the end.
void give(Way *way) {
  way->blocked = false;
  while (!way->chunks.empty() && way->chunks.front().due_ns <= now_ns()) {
    Chunk &chunk = way->chunks.front();
    if (chunk.bytes.empty()) {
      shutdown(way->to, SHUT_WR);
    } else {
      const ssize_t sent = send(way->to, chunk.bytes.data() + chunk.sent,
                                chunk.bytes.size() - chunk.sent, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EAGAIN) way->blocked = true;
        if (errno == EAGAIN || errno == EINTR) return;
      } else {
        chunk.sent += static_cast<size_t>(sent);
        way->held -= static_cast<size_t>(sent);
        if (chunk.sent < chunk.bytes.size()) continue;
      }
    }
    way->chunks.pop_front();
  }
}

bool is_over(const Way &way) { return way.ended && way.chunks.empty(); }

}  // namespace

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  const char *target = argv[2];
  const int64_t delay_ns = std::atoll(argv[3]) * 1000;
  prctl(PR_SET_TIMERSLACK, 1);
  sockaddr_un address;
  const int listener = unix_socket(argv[1], &address);
  if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) fail(argv[1]);
  if (listen(listener, 16) != 0) fail("listen");
  std::puts("ready");
  std::fflush(stdout);

  std::list<Pair> pairs;
  Counts counts;
  for (;;) {
    std::vector<pollfd> polled{{listener, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    std::vector<std::pair<Way *, Pair *>> readers;
    int64_t due_ns = -1;
    for (Pair &pair : pairs) {
      for (Way *way : {&pair.up, &pair.down}) {
        const bool reads = !way->ended && way->held < kHeldBytesMax;
        polled.push_back({reads ? way->from : -1, POLLIN, 0});
        readers.emplace_back(way, &pair);
        if (way->blocked)
          polled.push_back({way->to, POLLOUT, 0});
        else
          polled.push_back({-1, 0, 0});
        if (way->blocked || way->chunks.empty()) continue;
        const int64_t due = way->chunks.front().due_ns;
        if (due_ns < 0 || due < due_ns) due_ns = due;
      }
    }
    timespec wait{0, 0};
    const int64_t left = due_ns < 0 ? -1 : due_ns - now_ns();
    if (left > 0) wait = {left / 1000000000, left % 1000000000};
    if (ppoll(polled.data(), polled.size(), due_ns < 0 ? nullptr : &wait, nullptr) < 0 &&
        errno != EINTR) {
      fail("ppoll");
    }
    for (size_t i = 0; i < readers.size(); i++) {
      if (polled[2 + 2 * i].revents != 0)
        take(readers[i].first, readers[i].second, delay_ns, &counts);
      give(readers[i].first);
    }
    if (polled[1].revents != 0) {
      char line[256];
      if (read(STDIN_FILENO, line, sizeof line) <= 0) return 0;
      std::printf("{\"flights\":%llu,\"up\":%llu,\"down\":%llu}\n", counts.flights, counts.up,
                  counts.down);
      std::fflush(stdout);
      counts = Counts();
    }
    if (polled[0].revents != 0) accept_pair(listener, target, &pairs);
    pairs.remove_if([](const Pair &pair) {
      if (!is_over(pair.up) || !is_over(pair.down)) return false;
      close(pair.up.from);
      close(pair.up.to);
      return true;
    });
  }
}
