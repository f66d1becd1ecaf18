// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <charconv>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace axle::cuda::emulated {

namespace {

constexpr std::pair<std::string_view, uint64_t Settings::*> kSettings[] = {
    {"devices", &Settings::devices},
    {"mig", &Settings::mig},
    {"memory", &Settings::memory},
    {"version", &Settings::version},
    {"context-ms", &Settings::context_ms},
    {"copy-us-per-mib", &Settings::copy_us_per_mib},
    {"copy-us", &Settings::copy_us},
    {"poison", &Settings::poison},
    {"init-fails", &Settings::init_fails},
    {"context-fails", &Settings::context_fails},
    {"alloc-fails", &Settings::alloc_fails},
    {"launch-fails", &Settings::launch_fails},
    {"lost", &Settings::lost},
};

}  // namespace

Settings parse_settings(const std::string &text) {
  Settings settings;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const std::string_view entry = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const size_t equals = entry.find('=');
    bool known = false;
    for (const auto &[name, member] : kSettings) {
      if (equals == std::string_view::npos || entry.substr(0, equals) != name) continue;
      const std::string_view value = entry.substr(equals + 1);
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), settings.*member);
      known = error == std::errc() && end == value.data() + value.size();
    }
    if (!known)
      throw std::invalid_argument("no setting of the emulated driver: " + std::string(entry));
  }
  return settings;
}

}  // namespace axle::cuda::emulated
