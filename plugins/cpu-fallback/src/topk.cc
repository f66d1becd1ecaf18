// SPDX-License-Identifier: Apache-2.0
#include "topk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/arguments.h"
#include "common/failure.h"

namespace axle::cpu {

namespace {

// Positions in `scores` of the `k` best: the higher first, equal ones by position, NaN last.
std::vector<int32_t> best_positions(const float *scores, uint64_t count, uint64_t k) {
  std::vector<int32_t> positions(count);
  std::iota(positions.begin(), positions.end(), 0);
  const auto better = [scores](int32_t a, int32_t b) {
    const float x = scores[a];
    const float y = scores[b];
    if (x > y) return true;
    if (x < y) return false;
    const bool x_is_nan = std::isnan(x);
    const bool y_is_nan = std::isnan(y);
    return x_is_nan != y_is_nan ? y_is_nan : a < b;
  };
  std::partial_sort(positions.begin(), positions.begin() + static_cast<ptrdiff_t>(k),
                    positions.end(), better);
  positions.resize(k);
  return positions;
}

}  // namespace

void softmax(std::vector<float> *logits) {
  float best = -std::numeric_limits<float>::infinity();
  bool any = false;
  for (const float x : *logits) {
    if (std::isnan(x)) continue;
    best = std::max(best, x);
    any = true;
  }
  if (!any) return;
  const bool infinite = std::isinf(best);
  double sum = 0;
  for (float &x : *logits) {
    if (std::isnan(x)) continue;
    if (infinite) {
      x = x == best ? 1.0f : 0.0f;
    } else {
      x = std::exp(x - best);
    }
    sum += static_cast<double>(x);
  }
  const auto scale = static_cast<float>(1.0 / sum);
  for (float &x : *logits) x *= scale;
}

TopK::TopK(const Arguments &arguments) {
  const int64_t k = arguments.integer("k", 1);
  if (k < 1) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  "argument \"k\" is " + std::to_string(k) + "; give at least 1");
  }
  k_ = static_cast<uint64_t>(k);
  softmax_ = arguments.boolean("softmax", false);
}

void TopK::run(const float *scores, uint64_t count, TaskRun &run) const {
  if (count > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  std::to_string(count) + " scores are too many; an index has 32 bits");
  }
  std::vector<float> probabilities;
  if (softmax_) {
    probabilities.assign(scores, scores + count);
    softmax(&probabilities);
    scores = probabilities.data();
  }
  const uint64_t k = std::min(k_, count);
  const std::vector<int32_t> positions = best_positions(scores, count, k);

  auto *indices = static_cast<int32_t *>(run.allocate(k * sizeof(int32_t)));
  auto *best = static_cast<float *>(run.allocate(k * sizeof(float)));
  for (uint64_t i = 0; i < k; i++) {
    indices[i] = positions[i];
    best[i] = scores[positions[i]];
  }
  const auto dim = static_cast<int64_t>(k);
  run.emit(0, "indices", AXLE_DTYPE_INT32, &dim, 1, indices, k * sizeof(int32_t));
  run.emit(1, "scores", AXLE_DTYPE_FP32, &dim, 1, best, k * sizeof(float));
}

}  // namespace axle::cpu
