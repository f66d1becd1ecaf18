// SPDX-License-Identifier: Apache-2.0
#include "probe.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "common/failure.h"

namespace axle::fpga {

namespace {

constexpr const char *kProgram = "axle_fpga_probe";
constexpr size_t kOutputBytesMax = 4096;

[[noreturn]] void unavailable(const std::string &why) {
  throw Failure(AXLE_STATUS_UNAVAILABLE, one_line(why));
}

// Beside this plugin.
std::string program_path() {
  Dl_info here = {};
  if (dladdr(reinterpret_cast<void *>(&probe_cards), &here) == 0 || here.dli_fname == nullptr) {
    unavailable("the plugin does not find its own folder");
  }
  const std::string library = here.dli_fname;
  const size_t slash = library.rfind('/');
  return (slash == std::string::npos ? "" : library.substr(0, slash + 1)) + kProgram;
}

// That of the process. Plugins are loaded with RTLD_DEEPBIND, by which `environ` itself would be a copy in libc that nobody
// fills.
char **environment() {
  void *process = dlopen(nullptr, RTLD_NOW);
  void *found = process == nullptr ? nullptr : dlsym(process, "environ");
  if (found == nullptr) unavailable("the environment is not found");
  return *static_cast<char ***>(found);
}

struct Pipe {
  Pipe() {
    if (pipe2(ends, O_CLOEXEC) != 0) unavailable(std::string("no pipe: ") + std::strerror(errno));
  }
  ~Pipe() {
    close(ends[0]);
    close_write_end();
  }
  void close_write_end() {
    if (ends[1] >= 0) close(ends[1]);
    ends[1] = -1;
  }
  int ends[2] = {-1, -1};
};

pid_t start(const std::string &library, const std::string &xclbin, int output) {
  const std::string path = program_path();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  const char *arguments[] = {path.c_str(), library.c_str(), xclbin.c_str(), nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, path.c_str(), &actions, nullptr,
                                const_cast<char *const *>(arguments), environment());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) unavailable(path + " does not start: " + std::strerror(error));
  return child;
}

// All that is said until the end, or until the time is over: false then.
bool read_all(int from, std::string *text) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(kProbeTimeoutMs);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return false;
    pollfd wait = {from, POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(left.count())) <= 0) continue;
    char bytes[512];
    const ssize_t got = read(from, bytes, sizeof(bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    // The last of it says most.
    text->append(bytes, static_cast<size_t>(got));
    if (text->size() > kOutputBytesMax) text->erase(0, text->size() - kOutputBytesMax);
  }
}

}  // namespace

uint32_t probe_cards(const std::string &library, const std::string &xclbin) {
  Pipe pipe;
  const pid_t child = start(library, xclbin, pipe.ends[1]);
  pipe.close_write_end();
  std::string said;
  const bool ended = read_all(pipe.ends[0], &said);
  if (!ended) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) {
    unavailable("XRT did not answer within " + std::to_string(kProbeTimeoutMs / 1000) +
                " s; see whether `xbutil examine` does");
  }
  if (WIFSIGNALED(status)) {
    unavailable("XRT ends its process (signal " + std::to_string(WTERMSIG(status)) +
                "); was its setup.sh sourced, which sets XILINX_XRT? " + said);
  }
  constexpr const char *kMark = "axle-fpga-cards ";
  const size_t at = said.rfind(kMark);
  if (WEXITSTATUS(status) != 0 || at == std::string::npos) unavailable(said);
  const unsigned long cards = std::strtoul(said.c_str() + at + std::strlen(kMark), nullptr, 10);
  if (cards == 0) unavailable("XRT shows no card; see `xbutil examine`");
  return static_cast<uint32_t>(cards < kCardsMax ? cards : kCardsMax);
}

}  // namespace axle::fpga
