// SPDX-License-Identifier: Apache-2.0
#include "ops.h"

#include <iterator>
#include <string>

#include "common/failure.h"

namespace axle::fpga {

namespace {

constexpr uint32_t kPure = AXLE_OP_FLAG_PURE | AXLE_OP_FLAG_IDEMPOTENT;

constexpr OpEntry kOps[] = {
    {AXLE_OP_COMPRESS, AXLE_OP_COMPRESS_VERSION, kPure, "compress", "Bytes to lz4."},
};

[[noreturn]] void refuse(const std::string &what) {
  throw Failure(AXLE_STATUS_UNIMPLEMENTED, "fpga-xrt " + what);
}

}  // namespace

uint32_t op_count() { return static_cast<uint32_t>(std::size(kOps)); }

const OpEntry &op_at(uint32_t index) { return kOps[index]; }

const OpEntry &find_op(uint32_t op, uint32_t version, uint32_t chain_first, uint32_t chain_last) {
  for (const OpEntry &entry : kOps) {
    if (entry.op != op) continue;
    if (entry.version != version) {
      refuse("runs version " + std::to_string(entry.version) + " of " + entry.name + ", not " +
             std::to_string(version));
    }
    if (chain_first != 0 || chain_last != 0) {
      refuse(std::string("runs ") + entry.name + " as a whole, not steps " +
             std::to_string(chain_first) + " to " + std::to_string(chain_last) + " of it");
    }
    return entry;
  }
  refuse("has no op " + std::to_string(op));
}

}  // namespace axle::fpga
