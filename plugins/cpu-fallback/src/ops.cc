// SPDX-License-Identifier: Apache-2.0
#include "ops.h"

#include <iterator>
#include <string>

#include "common/failure.h"

namespace axle::cpu {

namespace {

constexpr uint32_t kPure = AXLE_OP_FLAG_PURE | AXLE_OP_FLAG_IDEMPOTENT;
constexpr uint32_t kBatchable = kPure | AXLE_OP_FLAG_BATCHABLE;
constexpr uint32_t kStreamable = kPure | AXLE_OP_FLAG_STREAMABLE;

constexpr OpEntry kOps[] = {
    {AXLE_OP_PREPROCESS, AXLE_OP_PREPROCESS_VERSION, kBatchable, 0, 0, false, "preprocess",
     "Pixels to a model's input, with scaling and standardisation."},
    {AXLE_OP_INFER, AXLE_OP_INFER_VERSION, kBatchable, 0, 0, true, "infer",
     "An ONNX model on ONNX Runtime."},
    {AXLE_OP_TOPK, AXLE_OP_TOPK_VERSION, kBatchable, 0, 0, false, "topk", "The k best scores."},
    {AXLE_OP_CLASSIFY, AXLE_OP_CLASSIFY_VERSION, kBatchable, kClassifyFirst, kClassifyLast, true,
     "classify", "preprocess, infer and topk in one task."},
    {AXLE_OP_COMPRESS, AXLE_OP_COMPRESS_VERSION, kStreamable, 0, 0, false, "compress",
     "Bytes to zstd, lz4 or gzip."},
    {AXLE_OP_DECOMPRESS, AXLE_OP_DECOMPRESS_VERSION, kStreamable, 0, 0, false, "decompress",
     "zstd, lz4 or gzip to bytes."},
};

[[noreturn]] void refuse(const std::string &what) {
  throw Failure(AXLE_STATUS_UNIMPLEMENTED, "cpu-fallback " + what);
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
    if (entry.chain_first != chain_first || entry.chain_last != chain_last) {
      refuse("runs steps " + std::to_string(entry.chain_first) + " to " +
             std::to_string(entry.chain_last) + " of " + entry.name + " in one task, not " +
             std::to_string(chain_first) + " to " + std::to_string(chain_last));
    }
    return entry;
  }
  refuse("has no op " + std::to_string(op));
}

}  // namespace axle::cpu
