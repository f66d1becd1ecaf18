// SPDX-License-Identifier: Apache-2.0
#include "harness.h"

#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

namespace axle::test {

namespace {

struct Test {
  const char *name;
  std::function<void()> body;
};

std::vector<Test> &tests() {
  static std::vector<Test> list;
  return list;
}

bool is_chosen(const Test &test, int argc, char **argv) {
  if (argc < 2) return true;
  for (int i = 1; i < argc; i++) {
    if (std::strstr(test.name, argv[i]) != nullptr) return true;
  }
  return false;
}

// True unless it failed.
bool run(const Test &test) {
  try {
    test.body();
    std::printf("ok    %s\n", test.name);
    return true;
  } catch (const Skipped &skipped) {
    std::printf("skip  %s: %s\n", test.name, skipped.what());
    return true;
  } catch (const std::exception &error) {
    std::printf("FAIL  %s: %s\n", test.name, error.what());
    return false;
  }
}

}  // namespace

bool add_test(const char *name, std::function<void()> body) {
  tests().push_back({name, std::move(body)});
  return true;
}

void skip(const std::string &reason) { throw Skipped(reason); }

void fail(const char *file, int line, const std::string &what) {
  throw Failed(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

void check_has(const std::string &text, const std::string &part, const char *file, int line) {
  if (text.find(part) == std::string::npos) {
    fail(file, line, "\"" + part + "\" is not in \"" + text + "\"");
  }
}

int run_all(int argc, char **argv) {
  int failed = 0;
  int count = 0;
  for (const Test &test : tests()) {
    if (!is_chosen(test, argc, argv)) continue;
    count++;
    if (!run(test)) failed++;
    std::fflush(stdout);
  }
  std::printf("%d tests, %d failed\n", count, failed);
  return failed == 0 && count > 0 ? 0 : 1;
}

}  // namespace axle::test

int main(int argc, char **argv) { return axle::test::run_all(argc, argv); }
