# SPDX-License-Identifier: Apache-2.0
# Compiles src/kernels to what the driver loads, and sets AXLE_CUDA_DEVICE_CODE to that file: a fatbin where
# there is nvcc; PTX, which every driver since CUDA 10 compiles for its device, where there is clang;
# nothing where there is neither, and the plugin is then unavailable but on the emulated driver.
set(kernel_source ${CMAKE_CURRENT_SOURCE_DIR}/src/kernels/kernels.cu)
file(GLOB kernel_headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/kernels/*.h)
set(AXLE_CUDA_DEVICE_CODE "")

find_program(AXLE_NVCC nvcc HINTS /usr/local/cuda/bin)
find_program(AXLE_CLANG NAMES clang++ clang++-19 clang++-16 clang++-14)

# Whether clang, without a toolkit, makes PTX of our source.
function(axle_clang_makes_ptx result)
  if(NOT AXLE_CLANG)
    set(${result} FALSE PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND ${AXLE_CLANG} ${clang_flags} -fsyntax-only ${kernel_source}
    RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  if(status EQUAL 0)
    set(${result} TRUE PARENT_SCOPE)
  else()
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()

# 7.5 is the oldest that the kernels are written for; 6.3 the oldest PTX that knows it.
set(clang_flags -x cuda --cuda-device-only -nocudainc -nocudalib --cuda-gpu-arch=sm_75
  -Xclang -target-feature -Xclang +ptx63 -Wno-unknown-cuda-version -Wno-pass-failed -std=c++17 -O3 -Wall -Wextra -Werror)
set(nvcc_flags --fatbin -std=c++17 -O3 -Werror all-warnings
  -gencode arch=compute_75,code=[sm_75,compute_75]
  -gencode arch=compute_80,code=sm_80
  -gencode arch=compute_86,code=sm_86
  -gencode arch=compute_89,code=sm_89
  -gencode arch=compute_90,code=[sm_90,compute_90]
  -gencode arch=compute_90a,code=sm_90a)

if(AXLE_CUDA_COMPILER STREQUAL "nvcc" OR (AXLE_CUDA_COMPILER STREQUAL "auto" AND AXLE_NVCC))
  if(NOT AXLE_NVCC)
    message(FATAL_ERROR "nvcc was not found; set AXLE_NVCC, or AXLE_CUDA_COMPILER to clang or none")
  endif()
  set(AXLE_CUDA_DEVICE_CODE ${CMAKE_CURRENT_BINARY_DIR}/kernels.fatbin)
  add_custom_command(OUTPUT ${AXLE_CUDA_DEVICE_CODE}
    COMMAND ${AXLE_NVCC} ${nvcc_flags} -o ${AXLE_CUDA_DEVICE_CODE} ${kernel_source}
    DEPENDS ${kernel_source} ${kernel_headers} VERBATIM)
  message(STATUS "axle: kernels by ${AXLE_NVCC}")
elseif(NOT AXLE_CUDA_COMPILER STREQUAL "none")
  axle_clang_makes_ptx(clang_works)
  if(clang_works)
    set(AXLE_CUDA_DEVICE_CODE ${CMAKE_CURRENT_BINARY_DIR}/kernels.ptx)
    add_custom_command(OUTPUT ${AXLE_CUDA_DEVICE_CODE}
      COMMAND ${AXLE_CLANG} ${clang_flags} -S -o ${AXLE_CUDA_DEVICE_CODE} ${kernel_source}
      DEPENDS ${kernel_source} ${kernel_headers} VERBATIM)
    message(STATUS "axle: kernels by ${AXLE_CLANG}")
  elseif(AXLE_CUDA_COMPILER STREQUAL "clang")
    message(FATAL_ERROR "no clang was found that makes PTX; set AXLE_CLANG, or AXLE_CUDA_COMPILER to none")
  endif()
endif()
if(NOT AXLE_CUDA_DEVICE_CODE)
  message(STATUS "axle: no kernels, for there is neither nvcc nor clang: emulated driver only")
endif()
