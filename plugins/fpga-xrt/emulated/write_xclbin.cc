// SPDX-License-Identifier: Apache-2.0
//
// write_xclbin KERNEL_XML OUTPUT: an image for the emulated cards: the axlf container with a UUID and the kernels'
// description, and no bitstream.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

namespace {

constexpr size_t kLengthAt = 304;
constexpr size_t kUuidAt = 416;
constexpr size_t kSectionCountAt = 448;
constexpr size_t kSectionsAt = 456;
constexpr size_t kSectionBytes = 40;
constexpr uint32_t kEmbeddedMetadata = 2;
constexpr unsigned char kUuid[16] = {0x61, 0x78, 0x6c, 0x65, 0x65, 0x6d, 0x41, 0x75,
                                     0x8c, 0x61, 0x74, 0x65, 0x64, 0x66, 0x70, 0x01};

template <class Number>
void put(std::string &to, size_t at, Number number) {
  std::memcpy(to.data() + at, &number, sizeof(number));
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  std::ifstream description(argv[1], std::ios::binary);
  const std::string xml{std::istreambuf_iterator<char>(description), {}};
  std::string image(kSectionsAt + kSectionBytes, '\0');
  std::memcpy(image.data(), "xclbin2", 8);
  put(image, 8, int32_t{-1});  // not signed
  put(image, kLengthAt, uint64_t{image.size() + xml.size()});
  std::memcpy(image.data() + kUuidAt, kUuid, sizeof(kUuid));
  put(image, kSectionCountAt, uint32_t{1});
  put(image, kSectionsAt, kEmbeddedMetadata);
  put(image, kSectionsAt + 24, uint64_t{image.size()});
  put(image, kSectionsAt + 32, uint64_t{xml.size()});
  image += xml;
  std::ofstream file(argv[2], std::ios::binary);
  file.write(image.data(), static_cast<std::streamsize>(image.size()));
  return !xml.empty() && file.good() ? 0 : 1;
}
