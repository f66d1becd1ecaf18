# SPDX-License-Identifier: Apache-2.0
# What our C++ plugins share, compiled into each with the flags that it has set by then:
# include(../common/common.cmake).
set(axle_common ${CMAKE_CURRENT_LIST_DIR})
add_library(axle_plugins_common STATIC
  ${axle_common}/arguments.cc
  ${axle_common}/byte_input.cc
  ${axle_common}/byte_output.cc
  ${axle_common}/failure.cc
  ${axle_common}/task_run.cc)
target_include_directories(axle_plugins_common PUBLIC
  ${axle_common}/.. ${axle_common}/../../core/include)

add_library(axle_test_harness STATIC EXCLUDE_FROM_ALL ${axle_common}/test/harness.cc)
target_include_directories(axle_test_harness PUBLIC ${axle_common}/..)
