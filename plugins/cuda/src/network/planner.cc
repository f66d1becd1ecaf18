// SPDX-License-Identifier: Apache-2.0
#include "planner.h"

#include <algorithm>
#include <map>

#include "common/failure.h"
#include "operators.h"

namespace axle::cuda {

namespace {

constexpr uint64_t kAlignment = 256;

std::string node_text(const NetworkNode &node) {
  std::string text = std::string("operator ") + node.op->name;
  return node.name.empty() ? text : text + " of node \"" + node.name + "\"";
}

// Free ranges of the arena, which grows where none is large enough.
class Arena {
 public:
  uint64_t take(uint64_t bytes) {
    for (auto range = free_.begin(); range != free_.end(); ++range) {
      const auto [at, size] = *range;
      if (size < bytes) continue;
      free_.erase(range);
      if (size > bytes) free_[at + bytes] = size - bytes;
      return at;
    }
    const uint64_t at = end_;
    end_ += bytes;
    return at;
  }

  void give_back(uint64_t at, uint64_t bytes) {
    auto next = free_.lower_bound(at);
    if (next != free_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == at) {
        at = before->first;
        bytes += before->second;
        free_.erase(before);
      }
    }
    if (next != free_.end() && at + bytes == next->first) {
      bytes += next->second;
      free_.erase(next);
    }
    free_[at] = bytes;
  }

  uint64_t bytes() const { return end_; }

 private:
  std::map<uint64_t, uint64_t> free_;
  uint64_t end_ = 0;
};

}  // namespace

uint32_t elements_of(const Dims &dims) {
  uint64_t count = 1;
  for (const int64_t size : dims) {
    const auto factor = static_cast<uint64_t>(size);
    if (size < 0 || (count != 0 && factor > kernels::kElementsMax / count)) {
      throw Failure(AXLE_STATUS_UNIMPLEMENTED, "a tensor would have more than " +
                                                   std::to_string(kernels::kElementsMax) +
                                                   " elements, which cuda does not run");
    }
    count *= factor;
  }
  return static_cast<uint32_t>(count);
}

Planner::Planner(const Network &network, const std::vector<Dims> &inputs)
    : network_(network), dims_(network.values.size()), places_(network.values.size()) {
  for (size_t i = 0; i < network.values.size(); i++) {
    const NetworkValue &value = network.values[i];
    if (value.kind == NetworkValue::Kind::kComputed) continue;
    dims_[i] = value.dims;
    if (value.kind == NetworkValue::Kind::kWeight) {
      places_[i] = {Place::Where::kWeights, value.weight_at};
    }
  }
  for (size_t i = 0; i < inputs.size(); i++) {
    const size_t value = network.inputs[i].value;
    dims_[value] = inputs[i];
    places_[value] = new_buffer(inputs[i]);
    plan_.inputs.push_back(places_[value]);
  }
}

Plan Planner::finish() {
  for (const NetworkNode &node : network_.nodes) {
    node_ = &node;
    at_++;
    node.op->plan(*this);
  }
  at_++;
  for (const NetworkPort &port : network_.outputs) {
    const Place place = places_[port.value];
    if (place.where == Place::Where::kBuffer) buffers_[place.at].last = at_;
    plan_.outputs.push_back(place);
    plan_.output_dims.push_back(dims_[port.value]);
  }
  lay_out();
  return std::move(plan_);
}

// Buffers whose time is over leave their room to those that come.
void Planner::lay_out() {
  std::vector<std::vector<size_t>> ending(at_ + 1);
  Arena arena;
  plan_.offsets.resize(buffers_.size());
  size_t swept = 0;
  for (size_t i = 0; i < buffers_.size(); i++) {  // in the order of their first use
    const Buffer &buffer = buffers_[i];
    for (; swept < buffer.first; swept++) {
      for (const size_t ended : ending[swept]) {
        arena.give_back(plan_.offsets[ended], buffers_[ended].bytes);
      }
    }
    plan_.offsets[i] = arena.take(buffer.bytes);
    ending[std::max(buffer.first, buffer.last)].push_back(i);
  }
  plan_.arena_bytes = arena.bytes();
}

Place Planner::new_buffer(const Dims &dims) {
  const uint64_t bytes = uint64_t{elements_of(dims)} * sizeof(float);
  Buffer buffer;
  buffer.bytes = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  buffer.first = buffer.last = at_;
  buffers_.push_back(buffer);
  return {Place::Where::kBuffer, buffers_.size() - 1};
}

bool Planner::has(size_t input) const {
  return input < node_->inputs.size() && node_->inputs[input] != kNoValue;
}

size_t Planner::value_of(size_t input) const {
  if (!has(input)) mismatch("lacks its input " + std::to_string(input));
  return node_->inputs[input];
}

const Dims &Planner::dims(size_t input) const { return dims_[value_of(input)]; }

Place Planner::place(size_t input) {
  const size_t value = value_of(input);
  const Place place = places_[value];
  if (place.where == Place::Where::kNowhere) {
    unsupported("has the input \"" + network_.values[value].name + "\", which is not FP32");
  }
  if (place.where == Place::Where::kBuffer) buffers_[place.at].last = at_;
  return place;
}

Place Planner::bias() { return node_->bias == kNoValue ? Place() : places_[node_->bias]; }

const std::vector<int64_t> &Planner::integers(size_t input) const {
  const NetworkValue &value = network_.values[value_of(input)];
  if (value.kind != NetworkValue::Kind::kIntegers) {
    unsupported("has the input \"" + value.name + "\", which has to be a constant of INT64");
  }
  return value.integers;
}

float Planner::scalar(size_t input) const {
  const NetworkValue &value = network_.values[value_of(input)];
  if (!value.scalar) {
    unsupported("has the input \"" + value.name + "\", which has to be a constant number");
  }
  return *value.scalar;
}

int64_t Planner::integer(const char *attribute, int64_t fallback) const {
  const NetworkAttribute *found = node_->find(attribute);
  return found == nullptr ? fallback : found->i;
}

float Planner::number(const char *attribute, float fallback) const {
  const NetworkAttribute *found = node_->find(attribute);
  return found == nullptr ? fallback : found->f;
}

std::string Planner::text(const char *attribute, const char *fallback) const {
  const NetworkAttribute *found = node_->find(attribute);
  return found == nullptr ? fallback : found->s;
}

std::vector<int64_t> Planner::integers(const char *attribute) const {
  const NetworkAttribute *found = node_->find(attribute);
  return found == nullptr ? std::vector<int64_t>() : found->ints;
}

Place Planner::make_output(const Dims &dims) {
  const Place place = new_buffer(dims);
  dims_[node_->output] = dims;
  places_[node_->output] = place;
  return place;
}

void Planner::keep_as_output(size_t input, const Dims &dims) {
  elements_of(dims);
  places_[node_->output] = place(input);
  dims_[node_->output] = dims;
}

void Planner::mismatch(const std::string &what) const {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT, one_line(node_text(*node_) + " " + what));
}

void Planner::unsupported(const std::string &what) const {
  throw Failure(AXLE_STATUS_UNIMPLEMENTED, one_line("cuda: " + node_text(*node_) + " " + what));
}

Plan make_plan(const Network &network, const std::vector<Dims> &inputs) {
  return Planner(network, inputs).finish();
}

}  // namespace axle::cuda
