// SPDX-License-Identifier: Apache-2.0
//
// What code needs that both the host and kernels are compiled from: numbers, and a word before functions.
#ifndef AXLE_CUDA_KERNELS_LANGUAGE_H
#define AXLE_CUDA_KERNELS_LANGUAGE_H

#if defined(__CUDA__) && defined(__clang__)
// Without a toolkit clang has no headers for the device.
using int32_t = int;
using uint8_t = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long;
using int64_t = long;
using uintptr_t = unsigned long;
#define AXLE_DEVICE __attribute__((device))
#elif defined(__CUDACC__)
#include <cstdint>
#define AXLE_DEVICE __device__
#else
#include <cstdint>
#define AXLE_DEVICE
#endif

#endif
