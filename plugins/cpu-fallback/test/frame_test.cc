// SPDX-License-Identifier: Apache-2.0
#include <sched.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "common/test/harness.h"
#include "onnx_writer.h"
#include "test_host.h"

using namespace axle::test;

namespace {

axle_error open_error(const std::vector<axle_option> &options,
                      const axle_host *host = test_host()) {
  axle_instance *instance = nullptr;
  axle_error error = make_error();
  const int32_t status =
      plugin_table()->open(host, options.data(), options.size(), &instance, &error);
  CHECK(status != AXLE_STATUS_OK);
  CHECK_EQ(status, error.status);
  return error;
}

uint32_t score(Plugin &plugin, uint32_t op, uint32_t first, uint32_t last, axle_error *why,
               uint32_t version = 1) {
  axle_op_query query = {};
  query.struct_size = sizeof(query);
  query.op = op;
  query.op_version = version;
  query.chain_first = first;
  query.chain_last = last;
  return plugin.table()->supports(plugin.instance(), 0, &query, why);
}

// Work for about a tenth of a second, which keeps a single thread busy.
TestTask &long_work(TestTask &task) {
  const std::string bytes(3000000, 'x');
  return task.input(nullptr, AXLE_DTYPE_UINT8, {static_cast<int64_t>(bytes.size())}, bytes)
      .arg("codec", static_cast<int64_t>(AXLE_CODEC_GZIP))
      .arg("level", static_cast<int64_t>(12));
}

TestTask &small_work(TestTask &task) {
  return task.tensor<float>(nullptr, AXLE_DTYPE_FP32, {2}, {1, 2});
}

}  // namespace

// First of all tests: ONNX Runtime decides this once, when it is first opened.
TEST(onnxruntime_does_not_phone_home) {
  need_onnxruntime();
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  std::thread([] {}).join();  // a sanitizer starts a thread of its own beside the first
  const auto before = threads();
  Plugin plugin(Plugin::Options{{"threads", "2"}});
  plugin.load(
      Graph().input("x", kFloat, {1}).output("y", kFloat, {1}).node("Relu", {"x"}, {"y"}).model());
  // The pool's, and no uploader's.
  CHECK_EQ(threads() - before, 2);
  CHECK(std::getenv("ORT_DISABLE_TELEMETRY") != nullptr);
}

TEST(the_table_is_complete) {
  const axle_plugin *table = plugin_table();
  CHECK(table != nullptr);
  CHECK_EQ(table->struct_size, sizeof(axle_plugin));
  CHECK_EQ(std::string(table->name), "cpu-fallback");
  CHECK(std::strlen(table->version) > 0);
}

TEST(options_are_checked) {
  CHECK_HAS(std::string(open_error({{"thread", "2"}}).message), "option thread is not known");
  for (const char *value : {"", "0", "-1", "2x", "1025", "99999999999999999999"}) {
    const axle_error error = open_error({{"threads", value}});
    CHECK_EQ(error.status, AXLE_STATUS_INVALID_ARGUMENT);
    CHECK_HAS(std::string(error.message), "whole number from 1 to 1024");
  }
  axle_host other = *test_host();
  other.abi_minor++;
  CHECK_HAS(std::string(open_error({}, &other).message), "built for ABI");
}

TEST(the_device_is_described) {
  Plugin plugin(Plugin::Options{{"threads", "3"}});
  CHECK_EQ(plugin.table()->device_count(plugin.instance()), 1u);
  axle_device_info info = {};
  info.struct_size = sizeof(info);
  plugin.table()->device_info(plugin.instance(), 0, &info);
  CHECK_EQ(std::string(info.id), "0");
  CHECK_HAS(std::string(info.name), ", 3 threads");
  CHECK_EQ(info.kind, AXLE_DEVICE_KIND_CPU);
  CHECK_EQ(info.parallel, 3u);
  CHECK(info.memory_bytes > 0);
}

TEST(threads_default_to_the_affinity_mask) {
  cpu_set_t before;
  CHECK_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  axle_device_info info = {};
  info.struct_size = sizeof(info);
  {
    Plugin plugin;
    plugin.table()->device_info(plugin.instance(), 0, &info);
  }
  CHECK_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
  CHECK_EQ(info.parallel, 1u);
}

TEST(ops_are_listed_and_supported) {
  need_onnxruntime();
  Plugin plugin;
  const uint32_t count = plugin.table()->op_count(plugin.instance());
  CHECK_EQ(count, 6u);
  for (uint32_t i = 0; i < count; i++) {
    axle_op_info info = {};
    info.struct_size = sizeof(info);
    plugin.table()->op_info(plugin.instance(), i, &info);
    axle_error why = make_error();
    if (info.op == AXLE_OP_COMPRESS) continue;  // needs its codec
    CHECK_EQ(score(plugin, info.op, info.chain_first, info.chain_last, &why, info.version), 1u);
  }
  axle_error why = make_error();
  CHECK_EQ(score(plugin, AXLE_OP_DECODE, 0, 0, &why), 0u);
  CHECK_HAS(std::string(why.message), "has no op 1");
  CHECK_EQ(score(plugin, AXLE_OP_INFER, 0, 0, &why, 2), 0u);
  CHECK_HAS(std::string(why.message), "runs version 1 of infer, not 2");
  CHECK_EQ(score(plugin, AXLE_OP_CLASSIFY, 0, 3, &why), 0u);
  CHECK_HAS(std::string(why.message), "runs steps 1 to 3 of classify in one task, not 0 to 3");
  CHECK_EQ(score(plugin, AXLE_OP_COMPRESS, 0, 0, &why), 0u);
  CHECK_HAS(std::string(why.message), "\"codec\" is missing");
}

TEST(without_onnxruntime_the_rest_works) {
  Plugin plugin(Plugin::Options{{"onnxruntime", "/nowhere/libonnxruntime.so.1"}});
  axle_error why = make_error();
  CHECK_EQ(score(plugin, AXLE_OP_TOPK, 0, 0, &why), 1u);
  CHECK_EQ(score(plugin, AXLE_OP_INFER, 0, 0, &why), 0u);
  CHECK_EQ(why.status, AXLE_STATUS_UNAVAILABLE);
  CHECK_HAS(std::string(why.message), "/nowhere/libonnxruntime.so.1");
  CHECK_HAS(std::string(why.message), "onnxruntime=PATH");
  CHECK_EQ(score(plugin, AXLE_OP_CLASSIFY, 1, 3, &why), 0u);
  CHECK_EQ(plugin.load_error({{"model.onnx", "x"}}).status, AXLE_STATUS_UNAVAILABLE);
  axle_health health = {};
  health.struct_size = sizeof(health);
  plugin.table()->health(plugin.instance(), 0, &health);
  CHECK_EQ(health.state, AXLE_HEALTH_DEGRADED);
  CHECK_HAS(std::string(health.message), "ONNX Runtime");
  TestTask task(AXLE_OP_TOPK);
  CHECK_EQ(plugin.run(small_work(task)).output(0).as<int32_t>()[0], 1);
}

TEST(a_library_that_is_not_onnxruntime_is_refused) {
  Plugin plugin(Plugin::Options{{"onnxruntime", AXLE_CPU_PLUGIN_PATH}});
  axle_error why = make_error();
  CHECK_EQ(score(plugin, AXLE_OP_INFER, 0, 0, &why), 0u);
  CHECK_HAS(std::string(why.message), "does not export OrtGetApiBase");
}

TEST(cancelled_and_late_tasks_are_not_begun) {
  Plugin plugin(Plugin::Options{{"threads", "1"}});
  TestTask busy(AXLE_OP_COMPRESS);
  TestTask cancelled(AXLE_OP_TOPK);
  TestTask late(AXLE_OP_TOPK);
  TestTask in_time(AXLE_OP_TOPK);
  small_work(cancelled);
  small_work(late).deadline_ns(now_ns() + 1);
  small_work(in_time).deadline_ns(now_ns() + 60000000000u);
  CHECK_EQ(plugin.submit({&long_work(busy)}), AXLE_STATUS_OK);
  CHECK_EQ(plugin.submit({&cancelled, &late, &in_time}), AXLE_STATUS_OK);
  cancelled.cancel();
  for (TestTask *task : {&busy, &cancelled, &late, &in_time}) task->wait();
  CHECK_EQ(cancelled.status(), AXLE_STATUS_CANCELLED);
  CHECK_EQ(late.status(), AXLE_STATUS_DEADLINE_EXCEEDED);
  CHECK_HAS(late.message(), "the deadline passed");
  CHECK_EQ(in_time.output(0).as<int32_t>()[0], 1);
  CHECK(in_time.completion().queue_ns > 0);
}

TEST(misuse_is_refused_whole) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(Graph()
                                      .input("x", kFloat, {"n"})
                                      .output("y", kFloat, {"n"})
                                      .node("Relu", {"x"}, {"y"})
                                      .model());
  axle_error error = make_error();
  TestTask topk(AXLE_OP_TOPK);
  TestTask infer(AXLE_OP_INFER, model);
  TestTask no_model(AXLE_OP_INFER);
  TestTask decode(AXLE_OP_DECODE);
  TestTask range(AXLE_OP_CLASSIFY, model);
  CHECK_EQ(plugin.submit({}, &error), AXLE_STATUS_INVALID_ARGUMENT);
  CHECK_EQ(plugin.submit({&topk, &infer}, &error), AXLE_STATUS_INVALID_ARGUMENT);
  CHECK_EQ(plugin.submit({&no_model}, &error), AXLE_STATUS_INVALID_ARGUMENT);
  CHECK_HAS(std::string(error.message), "runs a model");
  CHECK_EQ(plugin.submit({&decode}, &error), AXLE_STATUS_UNIMPLEMENTED);
  CHECK_EQ(plugin.submit({&range.range(0, 3)}, &error), AXLE_STATUS_UNIMPLEMENTED);

  axle_queue *queue = nullptr;
  CHECK_EQ(plugin.table()->queue_open(plugin.instance(), 1, &queue, &error), AXLE_STATUS_NOT_FOUND);

  // A caller with room for no message gets none past the end.
  axle_error tiny = {};
  tiny.struct_size = offsetof(axle_error, message);
  std::memset(tiny.message, '!', sizeof(tiny.message));
  CHECK_EQ(plugin.submit({&decode}, &tiny), AXLE_STATUS_UNIMPLEMENTED);
  CHECK_EQ(tiny.message[0], '!');
}

TEST(statistics_count) {
  Plugin plugin;
  TestTask good(AXLE_OP_TOPK);
  TestTask also(AXLE_OP_TOPK);
  TestTask bad(AXLE_OP_TOPK);
  CHECK_EQ(plugin.submit({&small_work(good), &small_work(also), &bad}), AXLE_STATUS_OK);
  for (TestTask *task : {&good, &also, &bad}) task->wait();
  axle_statistics statistics = {};
  statistics.struct_size = sizeof(statistics);
  plugin.table()->statistics(plugin.instance(), 0, &statistics);
  CHECK_EQ(statistics.tasks_completed, 2u);
  CHECK_EQ(statistics.tasks_failed, 1u);
  CHECK_EQ(statistics.batches, 1u);
  CHECK(statistics.compute_ns > 0);
}

TEST(many_queues_of_many_threads) {
  Plugin plugin(Plugin::Options{{"threads", "2"}});
  std::vector<std::thread> users;
  std::atomic<int> wrong{0};
  for (int user = 0; user < 4; user++) {
    users.emplace_back([&] {
      axle_queue *queue = nullptr;
      axle_error error = make_error();
      if (plugin.table()->queue_open(plugin.instance(), 0, &queue, &error) != 0) wrong++;
      for (int round = 0; round < 100; round++) {
        TestTask a(AXLE_OP_TOPK);
        TestTask b(AXLE_OP_TOPK);
        axle_task *tasks[] = {small_work(a).raw(), small_work(b).raw()};
        if (plugin.table()->submit(plugin.instance(), queue, tasks, 2, &error) != 0) wrong++;
        a.wait();
        b.wait();
        if (a.output(0).as<int32_t>()[0] != 1) wrong++;
      }
      plugin.table()->queue_close(plugin.instance(), queue);
    });
  }
  for (std::thread &user : users) user.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST(no_contract_was_broken) { CHECK_EQ(breaches(), 0); }
