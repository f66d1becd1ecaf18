// SPDX-License-Identifier: Apache-2.0
#include "zstd_encoder.h"

#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_getCParams, ZSTD_toFlushNow, ZSTD_getFrameProgression
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "object_pool.h"
#include "result.h"

namespace axle::cpu {

struct ZstdContext {
  ZstdContext() : zstd(ZSTD_createCCtx()) {
    if (zstd == nullptr) throw std::bad_alloc();
  }
  ~ZstdContext() { ZSTD_freeCCtx(zstd); }
  ZstdContext(const ZstdContext &) = delete;
  ZstdContext &operator=(const ZstdContext &) = delete;

  ZSTD_CCtx *const zstd;
  bool threaded = false;
};

namespace {

// Idle contexts of the upper levels would hold hundreds of MiB.
constexpr size_t kKeptContextBytesMax = 16 << 20;
constexpr size_t kKeptThreadedContextBytesMax = 96 << 20;
constexpr size_t kIdleContextsMax = 32;
constexpr size_t kIdleThreadedContextsMax = 2;

// From this level on, 1 MiB takes a core about 50 ms and more.
constexpr int kLevelSlowMin = 6;
constexpr uint64_t kQuickBytesMax = 1 << 20;
constexpr uint64_t kQuickSlowBytesMax = 128 << 10;
// How much goes into libzstd between two looks at task.cancelled().
constexpr size_t kStepBytes = 1 << 20;
constexpr size_t kSlowStepBytes = 128 << 10;
// How much output one call may wait for.
constexpr uint64_t kFlushBytes = 256 << 10;
// What a stream may hold, contexts and buffers of all its threads together.
constexpr uint64_t kStreamBytesMax = 224 << 20;
constexpr auto kPollInterval = std::chrono::milliseconds(2);

// Never destroyed: threads may still use them while the process ends.
ObjectPool<ZstdContext> &contexts(bool threaded) {
  static auto &single = *new ObjectPool<ZstdContext>(kIdleContextsMax);
  static auto &several = *new ObjectPool<ZstdContext>(kIdleThreadedContextsMax);
  return threaded ? several : single;
}

// libzstd waits for its workers before a context can be freed or used again, and nothing interrupts
// them. So a context that is left in the middle of a frame is freed by a thread of its own.
class Abandoned {
 public:
  static Abandoned &instance() {
    static auto &abandoned = *new Abandoned;
    return abandoned;
  }

  void take(std::unique_ptr<ZstdContext> context) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      count_++;
    }
    try {
      std::thread([this, owned = context.get()] {
        delete owned;
        // Notified under the lock: wait() may return only when this thread needs nothing more.
        std::lock_guard<std::mutex> lock(mutex_);
        if (--count_ == 0) none_.notify_all();
      }).detach();
      (void)context.release();
    } catch (const std::system_error &) {  // no thread to be had: wait here instead
      context.reset();
      std::lock_guard<std::mutex> lock(mutex_);
      if (--count_ == 0) none_.notify_all();
    }
  }

  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    none_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  size_t count_ = 0;
};

std::unique_ptr<ZstdContext> take_context(bool threaded) {
  std::unique_ptr<ZstdContext> context = contexts(threaded).take();
  if (!context) context = std::make_unique<ZstdContext>();
  context->threaded = threaded;
  return context;
}

void give_context(std::unique_ptr<ZstdContext> context) {
  ZSTD_CCtx_reset(context->zstd, ZSTD_reset_session_and_parameters);
  const bool threaded = context->threaded;
  const size_t kept_max = threaded ? kKeptThreadedContextBytesMax : kKeptContextBytesMax;
  if (ZSTD_sizeof_CCtx(context->zstd) > kept_max) return;
  contexts(threaded).give(std::move(context));
}

CodecResult library_failure(size_t code) {
  if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation) return out_of_memory();
  return failure(CodecStatus::kInternal,
                 std::string("libzstd failed (") + ZSTD_getErrorName(code) + "): report this");
}

// The bytes that one worker takes at a time, or 0 where several workers have nothing to share. What
// is large enough gets libzstd's own size, so that its ratio is that of the zstd tool; what is smaller
// is divided among the threads, down to where each part would be shorter than the window.
int job_bytes(int level, uint64_t content_bytes, unsigned threads, bool *worth_threads) {
  constexpr int kLibraryDefault = 0;
  constexpr uint64_t kJobBytesMin = 1 << 20;
  *worth_threads = threads > 1;
  if (threads < 2) return kLibraryDefault;
  const unsigned window_log = ZSTD_getCParams(level, content_bytes, 0).windowLog;
  const uint64_t usual = uint64_t{1} << std::max(20u, window_log + 2);
  if (content_bytes >= usual * threads) return kLibraryDefault;
  const uint64_t least = std::max(kJobBytesMin, uint64_t{1} << window_log);
  *worth_threads = content_bytes >= 2 * least;
  const uint64_t even = (content_bytes + threads - 1) / threads;
  return static_cast<int>(std::min(std::max(even, least), usual));
}

// How a frame of unknown length is made, within kStreamBytesMax.
struct StreamPlan {
  int workers;
  int job_bytes;
  bool small_jobs;  // smaller than libzstd's own
  ZSTD_compressionParameters params;
};

StreamPlan plan_stream(int level, unsigned threads) {
  constexpr unsigned kWindowLogMax = 23;  // the levels past 19 ask for up to 27, and 1 GiB
  constexpr unsigned kJobLogMin = 20;
  ZSTD_compressionParameters params = ZSTD_getCParams(level, ZSTD_CONTENTSIZE_UNKNOWN, 0);
  params.windowLog = std::min(params.windowLog, kWindowLogMax);
  // Tables for more than the window are of no use.
  params.chainLog = std::min(params.chainLog, params.windowLog + 1);
  params.hashLog = std::min(params.hashLog, params.windowLog + 1);
  const uint64_t context_bytes = ZSTD_estimateCCtxSize_usingCParams(params);
  // Input lies in a ring of the workers' jobs and three more, output in a buffer for each worker.
  const auto fits = [context_bytes](uint64_t workers, unsigned job_log) {
    return workers * context_bytes + ((2 * workers + 3) << job_log) <= kStreamBytesMax;
  };
  const unsigned job_log_min = std::max(kJobLogMin, params.windowLog);
  const unsigned job_log_usual = std::max(kJobLogMin, params.windowLog + 2);
  unsigned job_log = job_log_usual;
  while (job_log > job_log_min && !fits(threads, job_log)) job_log--;
  unsigned workers = threads;
  while (workers > 1 && !fits(workers, job_log)) workers--;
  return {static_cast<int>(workers > 1 ? workers : 0), 1 << job_log, job_log < job_log_usual,
          params};
}

}  // namespace

ZstdEncoder::ZstdEncoder(int level, unsigned threads) : slow_(level >= kLevelSlowMin) {
  const StreamPlan plan = plan_stream(level, threads);
  set_up(level, plan.workers, plan.job_bytes);
  ZSTD_CCtx *zstd = context_->zstd;
  // A job first reads the end of the one before: at the upper levels a whole window, which would cost
  // a small job more than its own bytes. This is half of the window, for 0.6 % of the ratio.
  constexpr int kHalfOfWindow = 8;
  if (plan.small_jobs && context_->threaded) {
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_overlapLog, kHalfOfWindow);
  }
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, static_cast<int>(plan.params.windowLog));
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_chainLog, static_cast<int>(plan.params.chainLog));
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_hashLog, static_cast<int>(plan.params.hashLog));
}

ZstdEncoder::ZstdEncoder(int level, uint64_t content_bytes, unsigned threads)
    : slow_(level >= kLevelSlowMin) {
  bool worth_threads;
  const int job = job_bytes(level, content_bytes, threads, &worth_threads);
  set_up(level, worth_threads ? static_cast<int>(threads) : 0, job);
  ZSTD_CCtx_setPledgedSrcSize(context_->zstd, content_bytes);
}

void ZstdEncoder::set_up(int level, int workers, int job_bytes) {
  context_ = take_context(workers > 0);
  ZSTD_CCtx *zstd = context_->zstd;
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
  if (workers == 0) return;
  // A libzstd that was built without threads refuses this, and works on the caller's.
  context_->threaded = !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_nbWorkers, workers));
  if (context_->threaded) ZSTD_CCtx_setParameter(zstd, ZSTD_c_jobSize, job_bytes);
}

ZstdEncoder::~ZstdEncoder() {
  if (mid_frame_ && context_->threaded) {
    Abandoned::instance().take(std::move(context_));
  } else {
    give_context(std::move(context_));
  }
}

// Slow workers would keep a call for seconds, deaf to cancellation: waits outside of the call, until
// there is output or nobody works.
CodecResult ZstdEncoder::await_progress(const Task &task) const {
  for (;;) {
    if (task.cancelled()) return cancelled_result();
    if (!slow_ || !context_->threaded || ZSTD_toFlushNow(context_->zstd) > 0) return {};
    const ZSTD_frameProgression progress = ZSTD_getFrameProgression(context_->zstd);
    if (progress.nbActiveWorkers == 0) return {};
    std::this_thread::sleep_for(kPollInterval);
  }
}

CodecResult ZstdEncoder::write(Span &in, OutputBuffer &out, const Task &task) {
  const size_t step = slow_ ? kSlowStepBytes : kStepBytes;
  bool fed = true;
  while (in.bytes > 0) {
    // As long as the workers' buffer takes input, a call does not wait for them.
    const CodecResult ready =
        fed ? CodecResult{task.cancelled() ? cancelled_result() : CodecResult{}}
            : await_progress(task);
    if (!ready.ok()) return ready;
    if (out.spare() == 0 && !out.grow()) {
      return out.size() == out.bytes_max() ? CodecResult{} : out.why_not();
    }
    ZSTD_inBuffer source{in.data, std::min(in.bytes, step), 0};
    ZSTD_outBuffer target{out.tail(), static_cast<size_t>(out.spare()), 0};
    mid_frame_ = true;
    const size_t code = ZSTD_compressStream2(context_->zstd, &target, &source, ZSTD_e_continue);
    if (ZSTD_isError(code)) return library_failure(code);
    out.advance(target.pos);
    in = {in.data + source.pos, in.bytes - source.pos};
    fed = source.pos == source.size;
  }
  return {};
}

CodecResult ZstdEncoder::end(OutputBuffer &out, const Task &task, bool *done) {
  *done = false;
  for (;;) {
    const CodecResult ready = await_progress(task);
    if (!ready.ok()) return ready;
    if (out.spare() == 0 && !out.grow()) {
      return out.size() == out.bytes_max() ? CodecResult{} : out.why_not();
    }
    ZSTD_inBuffer source{nullptr, 0, 0};
    const uint64_t room = slow_ ? std::min<uint64_t>(out.spare(), 4096) : out.spare();
    ZSTD_outBuffer target{out.tail(), static_cast<size_t>(std::min(room, kFlushBytes)), 0};
    mid_frame_ = true;
    const size_t rest = ZSTD_compressStream2(context_->zstd, &target, &source, ZSTD_e_end);
    if (ZSTD_isError(rest)) return library_failure(rest);
    out.advance(target.pos);
    if (rest == 0) {
      mid_frame_ = false;
      *done = true;
      return {};
    }
  }
}

bool zstd_is_quick(int level, uint64_t content_bytes) {
  return content_bytes <= (level >= kLevelSlowMin ? kQuickSlowBytesMax : kQuickBytesMax);
}

CodecResult compress_zstd_quickly(int level, Span input, OutputBuffer &out) {
  const size_t bytes_max = ZSTD_compressBound(input.bytes);
  out.reserve_up_to(bytes_max);
  // libzstd wants room to work in: under a tight cap it works aside.
  const bool aside = out.spare() < bytes_max;
  ScratchBuffer scratch;
  uint8_t *target = aside ? scratch.at_least(bytes_max) : out.tail();
  std::unique_ptr<ZstdContext> context = take_context(false);
  ZSTD_CCtx *zstd = context->zstd;
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
  const size_t bytes = ZSTD_compress2(zstd, target, bytes_max, input.data, input.bytes);
  give_context(std::move(context));
  if (ZSTD_isError(bytes)) return library_failure(bytes);
  if (aside) return out.append(target, bytes) ? CodecResult{} : out.why_not();
  out.advance(bytes);
  return {};
}

void release_zstd_encoders() {
  Abandoned::instance().wait();
  contexts(false).clear();
  contexts(true).clear();
}

}  // namespace axle::cpu
