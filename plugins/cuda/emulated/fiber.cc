// SPDX-License-Identifier: Apache-2.0
#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define AXLE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AXLE_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define AXLE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define AXLE_TSAN 1
#endif
#endif

#ifdef AXLE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef AXLE_TSAN
#include <sanitizer/tsan_interface.h>
#endif

// By a jump and not by a return: to whom a fiber returns is never whom it was called by, which processors take to be so.
// Saves what a callee must keep on the running stack, leaves its pointer in *from, and takes up `to`.
extern "C" void axle_fiber_switch(void **from, void *to);

#if defined(__x86_64__)
asm(R"(
.text
.globl axle_fiber_switch
.hidden axle_fiber_switch
.type axle_fiber_switch, @function
axle_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
.size axle_fiber_switch, .-axle_fiber_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl axle_fiber_switch
.hidden axle_fiber_switch
.type axle_fiber_switch, %function
axle_fiber_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size axle_fiber_switch, .-axle_fiber_switch
)");
#else
#error "the emulated CUDA driver has fibers for x86-64 and aarch64 only"
#endif

namespace axle::cuda::emulated {

namespace {

constexpr size_t kStackBytes = 256u << 10;
constexpr size_t kGuardBytes = 64u << 10;

thread_local Fiber *running __attribute__((tls_model("initial-exec"))) = nullptr;
thread_local Fiber *left __attribute__((tls_model("initial-exec"))) = nullptr;

}  // namespace

Fiber::Fiber() {
#ifdef AXLE_TSAN
  tsan_ = __tsan_get_current_fiber();
#endif
  static_cast<void>(tsan_);  // which only that sanitizer needs
}

Fiber::Fiber(size_t stack_bytes) : stack_bytes_(stack_bytes) {
  void *mapped = mmap(nullptr, kGuardBytes + stack_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  mprotect(mapped, kGuardBytes, PROT_NONE);
  stack_ = static_cast<char *>(mapped) + kGuardBytes;
  bottom_ = stack_;
  bottom_bytes_ = stack_bytes;
#ifdef AXLE_TSAN
  tsan_ = __tsan_create_fiber(0);
#endif
}

Fiber *Fiber::make() { return new Fiber(kStackBytes); }

Fiber::~Fiber() {
  if (stack_ == nullptr) return;
#ifdef AXLE_TSAN
  __tsan_destroy_fiber(tsan_);
#endif
  munmap(static_cast<char *>(stack_) - kGuardBytes, kGuardBytes + stack_bytes_);
}

void Fiber::start(Body body) {
  body_ = body;
  fake_stack_ = nullptr;
#ifdef AXLE_ASAN
  // The body before never returned: what it had on the stack is still marked.
  __asan_unpoison_memory_region(stack_, stack_bytes_);
#endif
  auto *top = reinterpret_cast<void **>(static_cast<char *>(stack_) + stack_bytes_);
#if defined(__x86_64__)
  // Six registers, the address to return to, and one word so that the stack is aligned as after a call.
  *--top = nullptr;
  *--top = reinterpret_cast<void *>(&Fiber::enter);
  for (int i = 0; i < 6; i++) *--top = nullptr;
#else
  top -= 20;
  for (int i = 0; i < 20; i++) top[i] = nullptr;
  top[11] = reinterpret_cast<void *>(&Fiber::enter);  // x30
#endif
  stopped_at_ = top;
}

void Fiber::switch_from(Fiber &from, [[maybe_unused]] bool ends) {
  running = this;
  left = &from;
#ifdef AXLE_ASAN
  __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack_, bottom_, bottom_bytes_);
#endif
#ifdef AXLE_TSAN
  __tsan_switch_to_fiber(tsan_, 0);
#endif
  axle_fiber_switch(&from.stopped_at_, stopped_at_);
  from.arrived(left);
}

void Fiber::arrived([[maybe_unused]] Fiber *from) {
#ifdef AXLE_ASAN
  // Where the thread's own stack lies, the first switch away from it tells.
  const void *bottom = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(fake_stack_, &bottom, &bytes);
  if (from != nullptr && from->stack_ == nullptr) {
    from->bottom_ = bottom;
    from->bottom_bytes_ = bytes;
  }
#endif
}

void Fiber::enter() {
  Fiber *self = running;
  self->arrived(left);
  self->body_();
  std::abort();  // a fiber's body does not return
}

}  // namespace axle::cuda::emulated
