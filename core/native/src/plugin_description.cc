// SPDX-License-Identifier: Apache-2.0
#include "plugin_description.h"

#include <set>
#include <tuple>

#include "dtype.h"
#include "limits.h"
#include "names.h"
#include "plugin_call.h"
#include "status.h"

namespace axle::host {
namespace {

// Says where a rule was broken: "plugin 'x': device 0: id is empty".
class Place {
 public:
  Place(const PluginLibrary &library, std::string where, int32_t status)
      : library_(library), where_(std::move(where)), status_(status) {}

  Place inside(const std::string &where) const {
    return {library_, where_ + ": " + where, status_};
  }

  [[noreturn]] void refuse(const std::string &why) const {
    plugin_fault(&library_, where_ + ": " + why);
    fail(status_, "plugin '%s' breaks a rule of the ABI: %s: %s", library_.name.c_str(),
         where_.c_str(), why.c_str());
  }

  std::string name(const char *text, const char *what) const {
    size_t bytes = 0;
    if (const char *problem = name_problem(text, &bytes)) refuse(format("%s %s", what, problem));
    return {text, bytes};
  }

 private:
  const PluginLibrary &library_;
  std::string where_;
  int32_t status_;
};

std::string numbered(const char *what, uint64_t index) {
  return format("%s %llu", what, static_cast<unsigned long long>(index));
}

TensorSpec read_tensor_spec(const Place &place, const axle_tensor_spec &spec) {
  TensorSpec result;
  result.name = place.name(spec.name, "name");
  if (!is_dtype(spec.dtype)) place.refuse(format("dtype %u is not known", spec.dtype));
  if (spec.rank > AXLE_RANK_MAX) place.refuse(format("rank %u is over 16", spec.rank));
  if (spec.rank > 0 && spec.dims == nullptr) place.refuse("dims is NULL");
  for (uint32_t i = 0; i < spec.rank; ++i) {
    if (spec.dims[i] < -1) place.refuse("a dimension is below -1");
    result.dims.push_back(spec.dims[i]);
  }
  result.dtype = spec.dtype;
  return result;
}

ArgSpec read_arg_spec(const Place &place, const axle_arg_spec &spec) {
  if (spec.type < AXLE_ARG_BOOL || spec.type > AXLE_ARG_BYTES) {
    place.refuse(format("type %u is not known", spec.type));
  }
  return {place.name(spec.name, "name"), cleaned(spec.doc, kDocBytesMax), spec.type,
          spec.required != 0};
}

template <typename Spec, typename Read>
auto read_list(const Place &place, const char *what, const Spec *specs, uint64_t count, Read read) {
  std::vector<decltype(read(place, *specs))> result;
  if (count > kSpecsMax) place.refuse(format("more than 256 %ss", what));
  if (count > 0 && specs == nullptr) place.refuse(format("the list of %ss is NULL", what));
  std::set<std::string> names;
  for (uint64_t i = 0; i < count; ++i) {
    const Place inside = place.inside(numbered(what, i));
    result.push_back(read(inside, specs[i]));
    if (!names.insert(result.back().name).second) {
      inside.refuse(format("the name '%s' stands there twice", result.back().name.c_str()));
    }
  }
  return result;
}

DeviceInfo read_device(const Place &place, const axle_device_info &info) {
  DeviceInfo result{place.name(info.id, "id"),
                    place.name(info.name, "name"),
                    info.kind,
                    info.flags,
                    info.memory_bytes,
                    info.parallel};
  if (info.kind < AXLE_DEVICE_KIND_CPU || info.kind > AXLE_DEVICE_KIND_OTHER) {
    place.refuse(format("kind %u is not known", info.kind));
  }
  if (info.parallel == 0) place.refuse("parallel is 0, and must be at least 1");
  return result;
}

void check_custom_op(const Place &place, const OpInfo &op) {
  const size_t slash = op.name.find('/');
  if (slash == op.name.npos || slash == 0 || slash + 1 == op.name.size()) {
    place.refuse(
        format("the custom op's name '%s' is not of the form vendor/name", op.name.c_str()));
  }
  if (op.chain_first != 0 || op.chain_last != 0) place.refuse("a custom op has no chain");
}

OpInfo read_op(const Place &place, const axle_op_info &info, bool runs_streams) {
  OpInfo result{};
  result.op = info.op;
  result.version = info.version;
  result.doc = cleaned(info.doc, kDocBytesMax);
  result.flags = info.flags;
  result.chain_first = info.chain_first;
  result.chain_last = info.chain_last;
  result.batch_max = info.batch_max;
  if (info.version == 0) place.refuse("version is 0, and must be at least 1");
  if (info.chain_first > info.chain_last) place.refuse("chain_first is past chain_last");
  if ((info.flags & AXLE_OP_FLAG_STREAMABLE) != 0 && !runs_streams) {
    place.refuse("is STREAMABLE, but the plugin leaves the stream slots empty");
  }
  const bool is_custom = info.op >= AXLE_CUSTOM_OP_ID_FIRST;
  if (!is_custom) {
    if (info.op < AXLE_OP_DECODE || info.op > AXLE_OP_DECOMPRESS) {
      place.refuse(format("op %u is not known", info.op));
    }
    if (info.name != nullptr || info.arg_count + info.input_count + info.output_count != 0) {
      place.refuse("only custom ops have a name and specifications");
    }
    return result;
  }
  result.name = place.name(info.name, "name");
  check_custom_op(place, result);
  result.args = read_list(place, "argument", info.args, info.arg_count, read_arg_spec);
  result.inputs = read_list(place, "input", info.inputs, info.input_count, read_tensor_spec);
  result.outputs = read_list(place, "output", info.outputs, info.output_count, read_tensor_spec);
  return result;
}

}  // namespace

std::vector<DeviceInfo> read_devices(const PluginLibrary &library, axle_instance *instance) {
  const Place plugin(library, "devices", AXLE_STATUS_FAILED_PRECONDITION);
  const auto count = call_plugin<uint32_t>(&library, "device_count", 0,
                                           [&] { return library.table.device_count(instance); });
  if (count == 0)
    plugin.refuse("there are none; where the hardware is missing, open is UNAVAILABLE");
  if (count > AXLE_DEVICES_MAX) plugin.refuse(format("%u of them are more than 256", count));
  std::vector<DeviceInfo> devices;
  std::set<std::string> ids;
  for (uint32_t i = 0; i < count; ++i) {
    axle_device_info info{};
    info.struct_size = sizeof info;
    call_plugin_void(&library, "device_info",
                     [&] { library.table.device_info(instance, i, &info); });
    const Place place = plugin.inside(numbered("device", i));
    devices.push_back(read_device(place, info));
    if (!ids.insert(devices.back().id).second) {
      place.refuse(format("the id '%s' stands there twice", devices.back().id.c_str()));
    }
  }
  return devices;
}

std::vector<OpInfo> read_ops(const PluginLibrary &library, axle_instance *instance) {
  const Place plugin(library, "ops", AXLE_STATUS_FAILED_PRECONDITION);
  const auto count = call_plugin<uint32_t>(&library, "op_count", 0,
                                           [&] { return library.table.op_count(instance); });
  if (count > AXLE_OPS_MAX) plugin.refuse(format("%u of them are more than 1024", count));
  std::vector<OpInfo> ops;
  std::set<std::tuple<uint32_t, uint32_t, uint32_t, uint32_t>> keys;
  std::set<std::pair<std::string, uint32_t>> names;
  for (uint32_t i = 0; i < count; ++i) {
    axle_op_info info{};
    info.struct_size = sizeof info;
    call_plugin_void(&library, "op_info", [&] { library.table.op_info(instance, i, &info); });
    const Place place = plugin.inside(numbered("op", i));
    ops.push_back(read_op(place, info, library.runs_streams));
    const OpInfo &op = ops.back();
    if (!keys.insert({op.op, op.version, op.chain_first, op.chain_last}).second) {
      place.refuse("the same op, version and range stand there twice");
    }
    if (!op.name.empty() && !names.insert({op.name, op.version}).second) {
      place.refuse(format("the name '%s' stands there twice", op.name.c_str()));
    }
  }
  return ops;
}

ModelInfo read_model(const PluginLibrary &library, axle_instance *instance, axle_model *model) {
  axle_model_info info{};
  info.struct_size = sizeof info;
  call_plugin_void(&library, "model_info",
                   [&] { library.table.model_info(instance, model, &info); });
  const Place place(library, "model_info", AXLE_STATUS_INTERNAL);
  return {read_list(place, "input", info.inputs, info.input_count, read_tensor_spec),
          read_list(place, "output", info.outputs, info.output_count, read_tensor_spec),
          info.memory_bytes};
}

}  // namespace axle::host
