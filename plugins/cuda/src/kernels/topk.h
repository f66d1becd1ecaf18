// SPDX-License-Identifier: Apache-2.0
//
// The best of a row of scores: the higher first, equal ones by position, NaN last.
#ifndef AXLE_CUDA_KERNELS_TOPK_H
#define AXLE_CUDA_KERNELS_TOPK_H

#include "image_layout.h"
#include "math.h"

namespace axle::cuda::kernels {

struct Ranked {
  float score;
  uint32_t index;
};
constexpr uint32_t kNoIndex = 0xFFFFFFFFu;

AXLE_DEVICE inline bool comes_before(const Ranked &a, const Ranked &b) {
  if (a.index == kNoIndex || b.index == kNoIndex) return a.index != kNoIndex;
  if (a.score > b.score) return true;
  if (a.score < b.score) return false;
  if (is_nan(a.score) != is_nan(b.score)) return is_nan(b.score);
  return a.index < b.index;
}

AXLE_DEVICE inline Ranked first_of_warp(Ranked best) {
  for (unsigned step = kWarpLanes / 2; step > 0; step /= 2) {
    const Ranked other = {shuffle_float(best.score, lane() ^ step),
                          shuffle(best.index, lane() ^ step)};
    if (comes_before(other, best)) best = other;
  }
  return best;
}

// What becomes of scores by softmax: NaN stays and takes no part, infinite ones share the whole.
struct Softmax {
  bool applies;
  float most;
  float scale;
};

AXLE_DEVICE inline float score_of(const Softmax &softmax, float x) {
  if (!softmax.applies || is_nan(x)) return x;
  const bool infinite = softmax.most == infinity() || softmax.most == -infinity();
  if (infinite) return x == softmax.most ? softmax.scale : 0.0f;
  return exponential(x - softmax.most) * softmax.scale;
}

AXLE_DEVICE inline Softmax softmax_of(const float *scores, uint32_t count, float *parts,
                                      double *sums) {
  float most = -infinity();
  for (uint32_t i = thread_x(); i < count; i += kNetworkThreads) {
    if (!is_nan(scores[i])) most = larger(most, scores[i]);
  }
  const Softmax unscaled = {true, block_max(most, parts), 1.0f};
  double sum = 0;
  for (uint32_t i = thread_x(); i < count; i += kNetworkThreads) {
    if (!is_nan(scores[i])) sum += static_cast<double>(score_of(unscaled, scores[i]));
  }
  sums[thread_x()] = sum;
  sync_threads();
  double all = 0;
  for (uint32_t i = 0; i < kNetworkThreads; i++) all += sums[i];
  sync_threads();
  return {true, unscaled.most, static_cast<float>(1.0 / all)};
}

}  // namespace axle::cuda::kernels

// A block for each row: its k best, or all where it has fewer, to indices[row * k ..] and best[row * k ..].
AXLE_KERNEL void axle_topk(const axle::cuda::kernels::ScoreRow *rows, const float *scores,
                           uint32_t k, uint32_t by_softmax, int32_t *indices, float *best) {
  using namespace axle::cuda::kernels;
  AXLE_SHARED(float, parts, kNetworkWarps);
  AXLE_SHARED(double, sums, kNetworkThreads);
  AXLE_SHARED(Ranked, firsts, kNetworkWarps);
  const ScoreRow row = rows[block_x()];
  const float *own = scores + row.first;
  Softmax softmax = {false, 0, 1};
  if (by_softmax != 0) softmax = softmax_of(own, row.count, parts, sums);
  Ranked last = {0, kNoIndex};  // that was found
  for (uint32_t place = 0; place < k && place < row.count; place++) {
    Ranked mine = {0, kNoIndex};
    for (uint32_t i = thread_x(); i < row.count; i += kNetworkThreads) {
      const Ranked candidate = {score_of(softmax, own[i]), i};
      const bool left = place == 0 || comes_before(last, candidate);
      if (left && comes_before(candidate, mine)) mine = candidate;
    }
    mine = first_of_warp(mine);
    if (lane() == 0) firsts[thread_x() / kWarpLanes] = mine;
    sync_threads();
    last = firsts[0];
    for (uint32_t i = 1; i < kNetworkWarps; i++) {
      if (comes_before(firsts[i], last)) last = firsts[i];
    }
    if (thread_x() == 0) {
      indices[block_x() * k + place] = static_cast<int32_t>(last.index);
      best[block_x() * k + place] = last.score;
    }
    sync_threads();
  }
}

#endif
