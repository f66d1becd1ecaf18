// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_MACHINE_H
#define AXLE_CPU_MACHINE_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace axle::cpu {

// How many threads this process can keep running: the CPUs that its affinity mask allows, cut by the
// cgroup's CPU quota rounded up. At least 1.
size_t usable_cpus();

// The processor's name for people, from /proc/cpuinfo; "CPU" when there is none.
std::string processor_name();

// Main memory of the machine; 0 = not known.
uint64_t memory_bytes();

// For tests: the CPUs that cgroup v2's cpu.max or v1's quota and period allow, rounded up; 0 = no
// limit, also for text that is not understood.
size_t cpus_of_cgroup2(const std::string &cpu_max);
size_t cpus_of_quota(int64_t quota_us, int64_t period_us);

}  // namespace axle::cpu

#endif
