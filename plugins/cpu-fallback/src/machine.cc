// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

namespace axle::cpu {

namespace {

size_t cpus_of_affinity() {
  // The kernel refuses a mask smaller than its own, so grow until it fits.
  for (size_t cpus = 1024; cpus <= 1u << 20; cpus *= 2) {
    std::vector<unsigned char> mask(CPU_ALLOC_SIZE(cpus));
    auto *set = reinterpret_cast<cpu_set_t *>(mask.data());
    if (sched_getaffinity(0, mask.size(), set) == 0) {
      return static_cast<size_t>(CPU_COUNT_S(mask.size(), set));
    }
  }
  return std::thread::hardware_concurrency();
}

std::string first_line(const std::string &path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int64_t number_in(const std::string &path) {
  std::istringstream text(first_line(path));
  int64_t value = -1;
  text >> value;
  return text ? value : -1;
}

size_t smaller_limit(size_t a, size_t b) {
  if (a == 0) return b;
  return b == 0 ? a : std::min(a, b);
}

// The smallest limit on the way from `group` up to the hierarchy's root.
template <class LimitAt>
size_t limit_upwards(std::string group, const LimitAt &limit_at) {
  size_t limit = 0;
  for (;;) {
    limit = smaller_limit(limit, limit_at(group));
    const size_t slash = group.rfind('/');
    if (slash == std::string::npos) return limit;
    group.resize(slash);
  }
}

size_t cpus_of_cgroup() {
  std::ifstream file("/proc/self/cgroup");
  size_t limit = 0;
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1) == "/" ? "" : line.substr(second + 1);
    if (controllers == ",,") {
      limit =
          smaller_limit(limit, limit_upwards(group, [](const std::string &at) {
                          return cpus_of_cgroup2(first_line("/sys/fs/cgroup" + at + "/cpu.max"));
                        }));
    } else if (controllers.find(",cpu,") != std::string::npos) {
      limit = smaller_limit(limit, limit_upwards(group, [](const std::string &at) {
                              const std::string folder = "/sys/fs/cgroup/cpu" + at;
                              return cpus_of_quota(number_in(folder + "/cpu.cfs_quota_us"),
                                                   number_in(folder + "/cpu.cfs_period_us"));
                            }));
    }
  }
  return limit;
}

}  // namespace

size_t cpus_of_quota(int64_t quota_us, int64_t period_us) {
  if (quota_us <= 0 || period_us <= 0) return 0;
  return static_cast<size_t>((quota_us - 1) / period_us + 1);
}

size_t cpus_of_cgroup2(const std::string &cpu_max) {
  std::istringstream text(cpu_max);
  int64_t quota_us = 0;
  int64_t period_us = 0;
  text >> quota_us >> period_us;  // "max 100000" fails here, and means no limit
  return text ? cpus_of_quota(quota_us, period_us) : 0;
}

size_t usable_cpus() {
  return std::max<size_t>(smaller_limit(cpus_of_affinity(), cpus_of_cgroup()), 1);
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
    if (start != std::string::npos) return line.substr(start);
  }
  return "CPU";
}

uint64_t memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return 0;
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes);
}

}  // namespace axle::cpu
