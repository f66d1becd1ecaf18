// SPDX-License-Identifier: Apache-2.0
//
// A test runner in a page: TEST(name) { ... CHECK(x); CHECK_EQ(a, b); } and one main. Arguments choose
// tests by a part of their name.
#ifndef AXLE_PLUGINS_COMMON_TEST_HARNESS_H
#define AXLE_PLUGINS_COMMON_TEST_HARNESS_H

#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>

namespace axle::test {

struct Failed : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Skipped : std::runtime_error {
  using std::runtime_error::runtime_error;
};

bool add_test(const char *name, std::function<void()> body);

// Ends the test as skipped; the reason is printed.
[[noreturn]] void skip(const std::string &reason);

[[noreturn]] void fail(const char *file, int line, const std::string &what);

template <class A, class B>
void check_eq(const A &a, const B &b, const char *text, const char *file, int line) {
  if (a == b) return;
  std::ostringstream out;
  out << text << ": " << a << " is not " << b;
  fail(file, line, out.str());
}

// `text` has `part` somewhere.
void check_has(const std::string &text, const std::string &part, const char *file, int line);

}  // namespace axle::test

#define TEST(name)                                                           \
  static void test_##name();                                                 \
  static const bool added_##name = axle::test::add_test(#name, test_##name); \
  static void test_##name()

#define CHECK(condition) \
  if (!(condition)) axle::test::fail(__FILE__, __LINE__, #condition)
#define CHECK_EQ(a, b) axle::test::check_eq((a), (b), #a " == " #b, __FILE__, __LINE__)
#define CHECK_HAS(text, part) axle::test::check_has((text), (part), __FILE__, __LINE__)

#endif
