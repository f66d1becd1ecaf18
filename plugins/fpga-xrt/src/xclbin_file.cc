// SPDX-License-Identifier: Apache-2.0
#include "xclbin_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "common/failure.h"

namespace axle::fpga {

namespace {

constexpr char kMagic[8] = {'x', 'c', 'l', 'b', 'i', 'n', '2', '\0'};
constexpr size_t kLengthAt = 304;
constexpr size_t kUuidAt = 416;
constexpr size_t kSectionCountAt = 448;
constexpr size_t kHeadBytes = 456;
constexpr size_t kSectionBytes = 40;
constexpr size_t kSectionOffsetAt = 24;
constexpr size_t kSectionLengthAt = 32;
constexpr uint32_t kSectionsMax = 4096;

template <class Number>
Number number_at(const char *bytes, size_t at) {
  Number number;
  std::memcpy(&number, bytes + at, sizeof(number));
  return number;
}

[[noreturn]] void refuse(const std::string &path, const std::string &why) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                one_line("option xclbin=" + path + ": the file " + why));
}

}  // namespace

XclbinFile read_xclbin(const std::string &path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff end = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (end < 0) {
    throw Failure(AXLE_STATUS_NOT_FOUND,
                  one_line("option xclbin=" + path + ": there is no such file that can be read"));
  }
  const auto bytes = static_cast<uint64_t>(end);
  char head[kHeadBytes];
  file.seekg(0);
  if (bytes < kHeadBytes || !file.read(head, sizeof(head)) ||
      std::memcmp(head, kMagic, sizeof(kMagic)) != 0) {
    refuse(path, "is no xclbin; give what v++ --link wrote");
  }
  if (bytes > kXclbinBytesMax || number_at<uint64_t>(head, kLengthAt) != bytes) {
    refuse(path, "has " + std::to_string(bytes) + " bytes and says that it has " +
                     std::to_string(number_at<uint64_t>(head, kLengthAt)) + "; copy it again");
  }
  const auto sections = number_at<uint32_t>(head, kSectionCountAt);
  if (sections == 0 || sections > kSectionsMax || kHeadBytes + sections * kSectionBytes > bytes) {
    refuse(path, "has a damaged head; copy it again");
  }
  for (uint32_t i = 0; i < sections; i++) {
    char section[kSectionBytes];
    if (!file.read(section, sizeof(section))) refuse(path, "cannot be read");
    const auto at = number_at<uint64_t>(section, kSectionOffsetAt);
    const auto length = number_at<uint64_t>(section, kSectionLengthAt);
    if (at > bytes || length > bytes - at) refuse(path, "has a damaged head; copy it again");
  }
  XclbinFile found;
  found.path = path;
  std::memcpy(found.uuid.data(), head + kUuidAt, found.uuid.size());
  if (std::all_of(found.uuid.begin(), found.uuid.end(), [](unsigned char c) { return c == 0; })) {
    refuse(path, "has no UUID");
  }
  return found;
}

std::string uuid_text(const unsigned char *uuid) {
  std::string text;
  for (size_t i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", uuid[i]);
    text += digits;
  }
  return text;
}

}  // namespace axle::fpga
