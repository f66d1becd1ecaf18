// SPDX-License-Identifier: Apache-2.0
//
// write_xclbin KERNEL_XML OUTPUT: an image for the emulated cards, and for the noop device of XRT: the axlf container
// with all that describes a card's kernels and memory, and no bitstream. Layouts are those of xclbin.h, which
// test/api_check.cc compares for what the plugin reads.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr size_t kLengthAt = 304;
constexpr size_t kUuidAt = 416;
constexpr size_t kSectionCountAt = 448;
constexpr size_t kSectionsAt = 456;
constexpr size_t kSectionBytes = 40;
constexpr size_t kAlign = 8;
constexpr unsigned char kUuid[16] = {0x61, 0x78, 0x6c, 0x65, 0x65, 0x6d, 0x41, 0x75,
                                     0x8c, 0x61, 0x74, 0x65, 0x64, 0x66, 0x70, 0x01};

// axlf_section_kind
constexpr uint32_t kEmbeddedMetadata = 2;
constexpr uint32_t kMemoryTopology = 6;
constexpr uint32_t kConnectivity = 7;
constexpr uint32_t kIpLayout = 8;
constexpr uint32_t kGroupTopology = 26;
constexpr uint32_t kGroupConnectivity = 27;

constexpr uint8_t kDdr4 = 1;
constexpr uint32_t kIpKernel = 1;
constexpr uint64_t kMemoryKiB = uint64_t{16} << 20;
constexpr uint64_t kKernelBase = 0x1800000;
constexpr int32_t kBuffers = 3;  // the first arguments

// Bytes as they lie in the file, little-endian.
class Layout {
 public:
  template <class Number>
  Layout &put(Number number) {
    bytes_.append(reinterpret_cast<const char *>(&number), sizeof(number));
    return *this;
  }
  Layout &text(const char *text, size_t width) {
    std::string field(text);
    field.resize(width);
    bytes_ += field;
    return *this;
  }
  const std::string &bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

template <class Number>
void put_at(std::string &to, size_t at, Number number) {
  std::memcpy(to.data() + at, &number, sizeof(number));
}

// The element <kernel> of the flow's kernel.xml, within what names the card. There, ports and arguments stand in lists.
std::string metadata(const std::string &description) {
  const size_t begin = description.find("<kernel ");
  const std::string close = "</kernel>";
  const size_t end = description.find(close);
  if (begin == std::string::npos || end == std::string::npos) return "";
  std::string kernel = description.substr(begin, end - begin);
  for (const std::string list : {"<ports>", "</ports>", "<args>", "</args>"}) {
    const size_t at = kernel.find(list);
    if (at != std::string::npos) kernel.erase(at, list.size());
  }
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<project name=\"axle\">"
         "<platform vendor=\"axle\" boardid=\"emulated\" name=\"emulated\" featureRomTime=\"0\">"
         "<version major=\"1\" minor=\"0\"/><device name=\"fpga0\" fpgaDevice=\"none\">"
         "<core name=\"OCL_REGION_0\" target=\"hw\" type=\"clc_region\" clockFreq=\"300MHz\">" +
         description.substr(begin, end - begin) + "<instance name=\"axle_lz4_compress_1\"/>" +
         close + "</core></device></platform></project>\n";
}

std::string memory_topology() {
  Layout layout;
  layout.put(int32_t{1}).put(uint32_t{0});
  layout.put(kDdr4).put(uint8_t{1}).text("", 6).put(kMemoryKiB).put(uint64_t{0});
  return layout.text("bank0", 16).bytes();
}

std::string ip_layout() {
  Layout layout;
  layout.put(int32_t{1}).put(uint32_t{0});
  layout.put(kIpKernel).put(uint32_t{1}).put(kKernelBase);
  return layout.text("axle_lz4_compress:axle_lz4_compress_1", 64).bytes();
}

std::string connectivity() {
  Layout layout;
  layout.put(kBuffers);
  for (int32_t i = 0; i < kBuffers; i++) layout.put(i).put(int32_t{0}).put(int32_t{0});
  return layout.bytes();
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  const std::string xml = metadata({std::istreambuf_iterator<char>(file), {}});
  if (xml.empty()) return 1;
  const std::vector<std::pair<uint32_t, std::string>> sections = {
      {kEmbeddedMetadata, xml},
      {kMemoryTopology, memory_topology()},
      {kConnectivity, connectivity()},
      {kIpLayout, ip_layout()},
      {kGroupTopology, memory_topology()},
      {kGroupConnectivity, connectivity()},
  };
  std::string image(kSectionsAt + sections.size() * kSectionBytes, '\0');
  std::memcpy(image.data(), "xclbin2", 8);
  put_at(image, 8, int32_t{-1});  // not signed
  std::memcpy(image.data() + kUuidAt, kUuid, sizeof(kUuid));
  put_at(image, kSectionCountAt, static_cast<uint32_t>(sections.size()));
  for (size_t i = 0; i < sections.size(); i++) {
    const auto &[kind, content] = sections[i];
    image.resize((image.size() + kAlign - 1) / kAlign * kAlign);
    const size_t head = kSectionsAt + i * kSectionBytes;
    put_at(image, head, kind);
    put_at(image, head + 24, uint64_t{image.size()});
    put_at(image, head + 32, uint64_t{content.size()});
    image += content;
  }
  put_at(image, kLengthAt, uint64_t{image.size()});
  std::ofstream output(argv[2], std::ios::binary);
  output.write(image.data(), static_cast<std::streamsize>(image.size()));
  return output.good() ? 0 : 1;
}
