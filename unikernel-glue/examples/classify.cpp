// SPDX-License-Identifier: Apache-2.0
//
// Classifies an image by a server on a Unix socket, without exceptions, a heap or a C++ library:
//   classify SOCKET IMAGE
// Prints the best label and its score; then what a call says whose binding is wrong.
#include <axle/posix.h>
#include <stdio.h>
#include <axle/client.hpp>

namespace {

constexpr uint64_t wait_us = 60'000'000;
uint8_t image[1 << 20], send_memory[4096], receive_memory[8192];

int fail(const char *what, const axle::status &why) {
  fprintf(stderr, "%s: %s (%d)\n", what, why.message(), why.code());
  return 1;
}

int classify(axle::client &client, axle::bytes picture) {
  axle::request model{client}, binding{client}, result{client};
  axle::status s = model.named_model(axle::text("glyphs"));
  if (!s.ok()) return fail("model", s);
  axle_bind how{};
  how.op = AXLE_OP_CLASSIFY;
  how.last = 3;
  how.model = model.handle();
  how.flags = AXLE_FLAG_BIND_LABELS;
  s = binding.bind(how);
  if (!s.ok()) return fail("bind", s);
  uint8_t indices[4], scores[4], labels[128];
  axle_input inputs[] = {axle::input(picture)};
  axle_output outputs[] = {axle::output(indices), axle::output(scores), axle::output(labels)};
  // All three leave together: one round trip.
  s = result.call(binding, inputs, outputs);
  if (s.ok()) s = result.wait(wait_us);
  if (!s.ok()) return fail("call", s);
  const auto label = axle::element(outputs[2], 0);
  const auto score = axle::at<float>(outputs[1], 0);
  if (!label || !score) return fail("result", label ? score.why() : label.why());
  printf("%.*s %.2f\n", static_cast<int>(label.value().size()),
         reinterpret_cast<const char *>(label.value().data()), static_cast<double>(score.value()));
  printf("past the end: %s\n", axle::at<float>(outputs[1], 1).why().message());
  printf("as doubles: %s\n", axle::at<double>(outputs[1], 0).why().message());
  return 0;
}

// A request that is still under way at the end of its scope ends there, and the client goes on.
int leave_early(axle::client &client) {
  {
    axle::request binding{client}, model{client};
    axle_bind how{};
    how.op = 999;
    axle::status s = binding.bind(how);
    if (s.ok()) s = model.named_model(axle::text("glyphs"));
    if (!s.ok()) return fail("start", s);
    s = binding.wait(wait_us);
    printf("wrong op: %d\n", s.code());
    // `model` is not awaited.
  }
  if (client.raw()->first != nullptr)
    return fail("scope", {AXLE_STATUS_INTERNAL, "a request is left"});
  axle::request ping{client};
  axle::status s = ping.ping();
  if (s.ok()) s = ping.wait(wait_us);
  if (!s.ok()) return fail("ping", s);
  printf("alive\n");
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) return fail("usage", {AXLE_STATUS_INVALID_ARGUMENT, "classify SOCKET IMAGE"});
  FILE *file = fopen(argv[2], "rb");
  if (file == nullptr) return fail(argv[2], {AXLE_STATUS_NOT_FOUND, "cannot be read"});
  const size_t size = fread(image, 1, sizeof(image), file);
  fclose(file);
  axle_posix posix;
  if (axle_posix_unix(&posix, argv[1]) != 0) {
    return fail(argv[1], {AXLE_STATUS_UNAVAILABLE, "cannot connect"});
  }
  axle::client client{axle_posix_transport(&posix), send_memory, receive_memory};
  const int failed = classify(client, {image, size});
  if (failed != 0 || leave_early(client) != 0) return 1;
  client.close();
  // What is started after the end says why not.
  axle::request late{client};
  const axle::status s = late.ping();
  printf("closed: %d %d\n", s.code(), client.open().code());
  return 0;
}
