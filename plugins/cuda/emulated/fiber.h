// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_EMULATED_FIBER_H
#define AXLE_CUDA_EMULATED_FIBER_H

#include <cstddef>

namespace axle::cuda::emulated {

// A stack and where it stopped. All switches are between fibers of one thread. Sanitizers are told.
class Fiber {
 public:
  using Body = void (*)();

  // The thread's own stack: a place to come back to.
  Fiber();
  // A stack of its own, which is kept for the next start().
  static Fiber *make();
  ~Fiber();
  Fiber(const Fiber &) = delete;
  Fiber &operator=(const Fiber &) = delete;

  // Sets it to begin `body`, which must not return: it ends by switching away for good.
  void start(Body body);
  // Leaves the running fiber `from` for this one; returns when something switches back. `ends` says
  // that nothing will.
  void switch_from(Fiber &from, bool ends = false);

 private:
  explicit Fiber(size_t stack_bytes);
  static void enter();
  void arrived(Fiber *from);

  void *stack_ = nullptr;  // NULL: the thread's own
  size_t stack_bytes_ = 0;
  void *stopped_at_ = nullptr;
  Body body_ = nullptr;
  void *fake_stack_ = nullptr;    // ASan
  const void *bottom_ = nullptr;  // ASan
  size_t bottom_bytes_ = 0;
  void *tsan_ = nullptr;
};

}  // namespace axle::cuda::emulated

#endif
