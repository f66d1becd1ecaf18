// SPDX-License-Identifier: Apache-2.0
#include "topk.h"

#include "../kernels/network_layout.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

namespace axle::cuda {

namespace {

// NaN stays NaN and takes no part; infinite logits share the whole.
void softmax(std::vector<float> &logits) {
  float most = -std::numeric_limits<float>::infinity();
  bool any = false;
  for (const float x : logits) {
    if (std::isnan(x)) continue;
    most = std::max(most, x);
    any = true;
  }
  if (!any) return;
  double sum = 0;
  for (float &x : logits) {
    if (std::isnan(x)) continue;
    x = std::isinf(most) ? (x == most ? 1.0f : 0.0f) : std::exp(x - most);
    sum += static_cast<double>(x);
  }
  const auto scale = static_cast<float>(1.0 / sum);
  for (float &x : logits) x *= scale;
}

bool comes_before(float x, int32_t i, float y, int32_t j) {
  if (x > y) return true;
  if (x < y) return false;
  if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
  return i < j;
}

}  // namespace

TopK::TopK(const Arguments &arguments) {
  const int64_t k = arguments.integer("k", 1);
  if (k < 1) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  "argument \"k\" is " + std::to_string(k) + "; give at least 1");
  }
  k_ = static_cast<uint64_t>(k);
  softmax_ = arguments.boolean("softmax", false);
}

void TopK::launch(Lane &lane, const Kernels &with, cu::Ptr rows, uint32_t row_count, cu::Ptr scores,
                  cu::Ptr results) const {
  const auto k = static_cast<uint32_t>(k_);
  const uint32_t by_softmax = softmax_ ? 1 : 0;
  const cu::Ptr best = results + uint64_t{row_count} * k * sizeof(int32_t);
  lane.launch(with.axle_topk, row_count, kernels::kNetworkThreads, rows, scores, k, by_softmax,
              results, best);
}

void TopK::emit(const uint8_t *results, uint64_t row, uint64_t row_count, uint64_t scores,
                TaskRun &run) const {
  const auto *indices = reinterpret_cast<const int32_t *>(results) + row * k_;
  const auto *best = reinterpret_cast<const float *>(results + row_count * k_ * sizeof(int32_t));
  emit(indices, best + row * k_, std::min(k_, scores), run);
}

void TopK::rank_on_host(const float *scores, uint64_t count, TaskRun &run) const {
  std::vector<float> values(scores, scores + count);
  if (softmax_) softmax(values);
  const uint64_t k = std::min(k_, count);
  std::vector<int32_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0);
  std::partial_sort(indices.begin(), indices.begin() + static_cast<ptrdiff_t>(k), indices.end(),
                    [&](int32_t a, int32_t b) {
                      return comes_before(values[static_cast<size_t>(a)], a,
                                          values[static_cast<size_t>(b)], b);
                    });
  std::vector<float> best(k);
  for (uint64_t i = 0; i < k; i++) best[i] = values[static_cast<size_t>(indices[i])];
  emit(indices.data(), best.data(), k, run);
}

void TopK::emit(const int32_t *indices, const float *best, uint64_t count, TaskRun &run) const {
  void *index_data = run.allocate(count * sizeof(int32_t));
  void *score_data = run.allocate(count * sizeof(float));
  if (count > 0) {
    std::memcpy(index_data, indices, count * sizeof(int32_t));
    std::memcpy(score_data, best, count * sizeof(float));
  }
  const auto dim = static_cast<int64_t>(count);
  run.emit(0, "indices", AXLE_DTYPE_INT32, &dim, 1, index_data, count * sizeof(int32_t));
  run.emit(1, "scores", AXLE_DTYPE_FP32, &dim, 1, score_data, count * sizeof(float));
}

}  // namespace axle::cuda
