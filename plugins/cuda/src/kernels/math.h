// SPDX-License-Identifier: Apache-2.0
//
// Functions of one number, the same source on every target: without a toolkit there is no library of the device's,
// and the host's would round otherwise.
#ifndef AXLE_CUDA_KERNELS_MATH_H
#define AXLE_CUDA_KERNELS_MATH_H

#include "network_layout.h"
#include "target.h"

namespace axle::cuda::kernels {

union FloatBits {
  float value;
  uint32_t bits;
};

AXLE_DEVICE inline float float_of(uint32_t bits) {
  FloatBits both;
  both.bits = bits;
  return both.value;
}
AXLE_DEVICE inline uint32_t bits_of(float value) {
  FloatBits both;
  both.value = value;
  return both.bits;
}
AXLE_DEVICE inline float infinity() { return float_of(0x7F800000u); }
AXLE_DEVICE inline bool is_nan(float x) { return x != x; }
AXLE_DEVICE inline float larger(float a, float b) { return a > b ? a : b; }
AXLE_DEVICE inline float smaller(float a, float b) { return a < b ? a : b; }
AXLE_DEVICE inline float absolute(float x) { return float_of(bits_of(x) & 0x7FFFFFFFu); }

// e^x within two units of the last place; what is below the smallest normal number is 0.
AXLE_DEVICE inline float exponential(float x) {
  if (is_nan(x)) return x;
  if (x > 88.72283f) return infinity();
  if (x < -87.33654f) return 0;
  // x = n ln 2 + r, with ln 2 in two parts so that n times the first is exact.
  const float scaled = x * 1.44269504f;
  const int n = static_cast<int>(scaled + (scaled < 0 ? -0.5f : 0.5f));
  const auto whole = static_cast<float>(n);
  const float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  // Taylor's series up to r^7: r is at most 0.35, what is left out below 3e-8 of it.
  float sum = 1.0f / 5040.0f;
  sum = sum * r + 1.0f / 720.0f;
  sum = sum * r + 1.0f / 120.0f;
  sum = sum * r + 1.0f / 24.0f;
  sum = sum * r + 1.0f / 6.0f;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  // n is -126 to 128; 2^128 is no number, so its last factor of 2 comes apart.
  const int most = n < 127 ? n : 127;
  const float power = float_of(static_cast<uint32_t>(most + 127) << 23);
  return n > most ? sum * power * 2.0f : sum * power;
}

AXLE_DEVICE inline float sigmoid(float x) {
  if (x >= 0) return 1.0f / (1.0f + exponential(-x));
  const float e = exponential(x);
  return e / (1.0f + e);
}

AXLE_DEVICE inline float hyperbolic_tangent(float x) {
  const float size = absolute(x);
  if (size < 0.25f) {  // where 1 - e would lose digits: the series, up to x^9
    const float square = x * x;
    float sum = 62.0f / 2835.0f;
    sum = sum * square - 17.0f / 315.0f;
    sum = sum * square + 2.0f / 15.0f;
    sum = sum * square - 1.0f / 3.0f;
    return x + x * square * sum;
  }
  const float e = exponential(-2.0f * size);
  const float positive = (1.0f - e) / (1.0f + e);
  return x < 0 ? -positive : positive;  // of NaN it is NaN
}

// Abramowitz and Stegun, 7.1.26, for all but small numbers: within 2e-7.
AXLE_DEVICE inline float error_function(float x) {
  const float size = absolute(x);
  if (size < 0.25f) {
    const float square = x * x;
    float sum = 1.0f / 216.0f;
    sum = sum * square - 1.0f / 42.0f;
    sum = sum * square + 0.1f;
    sum = sum * square - 1.0f / 3.0f;
    return 1.128379167f * (x + x * square * sum);
  }
  const float t = 1.0f / (1.0f + 0.3275911f * size);
  float sum = 1.061405429f;
  sum = sum * t - 1.453152027f;
  sum = sum * t + 1.421413741f;
  sum = sum * t - 0.284496736f;
  sum = sum * t + 0.254829592f;
  const float positive = 1.0f - sum * t * exponential(-size * size);
  return x < 0 ? -positive : positive;
}

// Not written out at each of its places: tiles have 64 of them.
AXLE_NOINLINE AXLE_DEVICE inline float apply(UnaryStep step, float x) {
  switch (step.what) {
    case Unary::kNone:
      return x;
    case Unary::kRelu:
      return x < 0 ? 0.0f : x;
    case Unary::kLeakyRelu:
      return x < 0 ? x * step.p : x;
    case Unary::kSigmoid:
      return sigmoid(x);
    case Unary::kTanh:
      return hyperbolic_tangent(x);
    case Unary::kGelu:
      return 0.5f * x * (1.0f + error_function(x * 0.707106781f));
    case Unary::kGeluTanh:
      return 0.5f * x * (1.0f + hyperbolic_tangent(0.797884561f * (x + 0.044715f * x * x * x)));
    case Unary::kErf:
      return error_function(x);
    case Unary::kExp:
      return exponential(x);
    case Unary::kSqrt:
      return square_root(x);
    case Unary::kNegate:
      return -x;
    case Unary::kClip:
      return is_nan(x) ? x : smaller(larger(x, step.p), step.q);
  }
  return x;
}

AXLE_DEVICE inline float apply(Binary what, float a, float b) {
  switch (what) {
    case Binary::kAdd:
      return a + b;
    case Binary::kSubtract:
      return a - b;
    case Binary::kMultiply:
      return a * b;
    case Binary::kDivide:
      return a / b;
  }
  return a;
}

AXLE_DEVICE inline float shuffle_float(float value, unsigned from) {
  return float_of(shuffle(bits_of(value), from));
}

// Of all lanes of the warp, in each of them.
AXLE_DEVICE inline float warp_sum(float value) {
  for (unsigned step = kWarpLanes / 2; step > 0; step /= 2) {
    value += shuffle_float(value, lane() ^ step);
  }
  return value;
}
AXLE_DEVICE inline float warp_max(float value) {
  for (unsigned step = kWarpLanes / 2; step > 0; step /= 2) {
    value = larger(value, shuffle_float(value, lane() ^ step));
  }
  return value;
}

constexpr unsigned kNetworkWarps = kNetworkThreads / kWarpLanes;

// Of all threads of a block of kNetworkThreads, in each of them. `parts` is kNetworkWarps of shared memory.
AXLE_DEVICE inline float block_sum(float value, float *parts) {
  value = warp_sum(value);
  if (lane() == 0) parts[thread_x() / kWarpLanes] = value;
  sync_threads();
  float sum = 0;
  for (unsigned i = 0; i < kNetworkWarps; i++) sum += parts[i];
  sync_threads();
  return sum;
}
AXLE_DEVICE inline float block_max(float value, float *parts) {
  value = warp_max(value);
  if (lane() == 0) parts[thread_x() / kWarpLanes] = value;
  sync_threads();
  float most = parts[0];
  for (unsigned i = 1; i < kNetworkWarps; i++) most = larger(most, parts[i]);
  sync_threads();
  return most;
}

}  // namespace axle::cuda::kernels

#endif
