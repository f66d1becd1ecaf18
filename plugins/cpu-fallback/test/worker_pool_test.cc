// SPDX-License-Identifier: Apache-2.0
#include "worker_pool.h"

#include <atomic>
#include <future>
#include <memory>
#include <numeric>

#include "common/test/harness.h"
#include "machine.h"

using axle::cpu::WorkerPool;

TEST(pool_runs_jobs_in_their_order) {
  std::vector<int> order;
  {
    WorkerPool pool(1, 100);
    for (int i = 0; i < 100; i++) {
      while (!pool.submit([&order, i] { order.push_back(i); })) std::this_thread::yield();
    }
  }
  CHECK_EQ(order.size(), 100u);
  for (int i = 0; i < 100; i++) CHECK_EQ(order[static_cast<size_t>(i)], i);
}

TEST(pool_takes_all_jobs_or_none) {
  WorkerPool pool(1, 3);
  std::promise<void> begun;
  std::promise<void> go;
  CHECK(pool.submit([&] {
    begun.set_value();
    go.get_future().wait();
  }));
  begun.get_future().wait();
  std::atomic<int> ran{0};
  const auto jobs = [&](size_t n) { return std::vector<WorkerPool::Job>(n, [&ran] { ran++; }); };
  CHECK(!pool.submit_all(jobs(4)));
  CHECK(pool.submit_all(jobs(2)));
  CHECK(!pool.submit_all(jobs(2)));
  CHECK(pool.submit_all(jobs(1)));
  CHECK(!pool.submit([] {}));
  CHECK(pool.submit_all({}));
  go.set_value();
  while (ran < 3) std::this_thread::yield();
}

TEST(parallel_for_calls_each_index_once) {
  WorkerPool pool(3, 10);
  for (const size_t n : {0u, 1u, 2u, 1000u}) {
    std::vector<std::atomic<int>> calls(n);
    pool.parallel_for(n, [&](size_t i) { calls[i]++; });
    for (const auto &count : calls) CHECK_EQ(count.load(), 1);
  }
}

// Every thread is inside a loop of its own, and each loop has another inside.
TEST(parallel_for_never_waits_for_a_free_thread) {
  WorkerPool pool(2, 100);
  std::atomic<int> calls{0};
  std::vector<std::promise<void>> done(8);
  for (auto &promise : done) {
    CHECK(pool.submit([&] {
      pool.parallel_for(10, [&](size_t) { pool.parallel_for(10, [&](size_t) { calls++; }); });
      promise.set_value();
    }));
  }
  for (auto &promise : done) promise.get_future().wait();
  CHECK_EQ(calls.load(), 800);
}

TEST(parallel_for_hands_an_exception_on) {
  WorkerPool pool(2, 10);
  std::atomic<int> calls{0};
  bool thrown = false;
  try {
    pool.parallel_for(1000, [&](size_t) {
      calls++;
      throw std::runtime_error("no");
    });
  } catch (const std::runtime_error &) {
    thrown = true;
  }
  CHECK(thrown);
  CHECK(calls.load() < 1000);
  pool.parallel_for(10, [](size_t) {});
}

TEST(cpu_quota_is_rounded_up) {
  using namespace axle::cpu;
  CHECK_EQ(cpus_of_cgroup2("max 100000"), 0u);
  CHECK_EQ(cpus_of_cgroup2(""), 0u);
  CHECK_EQ(cpus_of_cgroup2("100000 100000"), 1u);
  CHECK_EQ(cpus_of_cgroup2("150000 100000"), 2u);
  CHECK_EQ(cpus_of_cgroup2("5000 100000"), 1u);
  CHECK_EQ(cpus_of_quota(-1, 100000), 0u);
  CHECK_EQ(cpus_of_quota(400000, 100000), 4u);
  CHECK(usable_cpus() >= 1);
}
