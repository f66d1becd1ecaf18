# SPDX-License-Identifier: Apache-2.0
# Sets AXLE_FPGA_SIMULATION, and where it is on makes axle_fpga_simulation: the kernels as Verilator turned them into C++.
set(AXLE_FPGA_KERNEL_FOLDER ${CMAKE_CURRENT_LIST_DIR})
file(GLOB AXLE_FPGA_LZ4_COMPRESS_SOURCES CONFIGURE_DEPENDS
  ${AXLE_FPGA_KERNEL_FOLDER}/lz4_compress/*.sv)

find_program(AXLE_VERILATOR verilator)
find_package(verilator QUIET HINTS $ENV{VERILATOR_ROOT} /usr/share/verilator)
if(AXLE_VERILATOR AND verilator_FOUND)
  set(AXLE_FPGA_SIMULATION ON)
else()
  set(AXLE_FPGA_SIMULATION OFF)
  message(STATUS "no verilator: the kernels of plugins/fpga-xrt are not simulated; on Debian: "
    "apt-get install verilator")
  return()
endif()

add_library(axle_fpga_simulation OBJECT simulation/simulated_kernel.cc)
target_include_directories(axle_fpga_simulation PUBLIC simulation)

# Apart from ours: what Verilator writes is not free of warnings, and is half as fast without -O3.
add_library(axle_fpga_verilated STATIC)
target_compile_options(axle_fpga_verilated PRIVATE -w -O3)
verilate(axle_fpga_verilated
  TOP_MODULE axle_lz4_compress
  PREFIX Vaxle_lz4_compress
  SOURCES ${AXLE_FPGA_LZ4_COMPRESS_SOURCES}
  VERILATOR_ARGS -Wall -O3 --x-assign fast --x-initial fast --noassert --no-timing)
target_link_libraries(axle_fpga_simulation PUBLIC axle_fpga_verilated)
# Verilator's headers are not free of warnings either.
target_include_directories(axle_fpga_simulation SYSTEM PUBLIC
  $<TARGET_PROPERTY:axle_fpga_verilated,INTERFACE_INCLUDE_DIRECTORIES>)

# Lint, by the same rules that the build keeps.
add_custom_target(axle_fpga_lint
  COMMAND ${AXLE_VERILATOR} --lint-only -Wall --top-module axle_lz4_compress
    ${AXLE_FPGA_LZ4_COMPRESS_SOURCES}
  VERBATIM)
