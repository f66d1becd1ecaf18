// SPDX-License-Identifier: Apache-2.0
//
// The echo of the remoting bench over gRPC C++: one bidirectional stream that carries all calls, the fastest that gRPC has
// for many small ones. Messages are bytes as they are, so no figure pays for protobuf.
//
//   grpc-stream server SOCKET     prints "ready"
//   grpc-stream client SOCKET     for each line BYTES IN_FLIGHT SECONDS prints its figures as JSON
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

enum Tag : intptr_t { kStarted = 1, kRead, kWritten, kOther };

void *tag(Tag value) { return reinterpret_cast<void *>(value); }
Tag tag_of(void *value) { return static_cast<Tag>(reinterpret_cast<intptr_t>(value)); }

// Copies: every byte is touched, as in every other peer.
grpc::ByteBuffer copy_of(const grpc::ByteBuffer &message) {
  std::vector<grpc::Slice> slices;
  message.Dump(&slices);
  std::vector<grpc::Slice> copies;
  for (const auto &slice : slices) copies.emplace_back(slice.begin(), slice.size());
  return grpc::ByteBuffer(copies.data(), copies.size());
}

// One write is out at a time, as gRPC wants it.
template <typename Stream>
class Writes {
 public:
  explicit Writes(Stream *stream) : stream_(stream) {}

  void add(grpc::ByteBuffer message) {
    waiting_.push_back(std::move(message));
    if (!busy_) next();
  }

  void written() {
    busy_ = false;
    if (!waiting_.empty()) next();
  }

 private:
  void next() {
    busy_ = true;
    grpc::WriteOptions options;
    // More comes at once: gRPC may put them into one write to the socket.
    if (waiting_.size() > 1) options.set_buffer_hint();
    stream_->Write(waiting_.front(), options, tag(kWritten));
    waiting_.pop_front();
  }

  Stream *stream_;
  std::deque<grpc::ByteBuffer> waiting_;
  bool busy_ = false;
};

int serve(const std::string &address) {
  grpc::AsyncGenericService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterAsyncGenericService(&service);
  auto queue = builder.AddCompletionQueue();
  auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::puts("ready");
  std::fflush(stdout);
  for (;;) {
    grpc::GenericServerContext context;
    grpc::GenericServerAsyncReaderWriter stream(&context);
    service.RequestCall(&context, &stream, queue.get(), queue.get(), tag(kStarted));
    Writes<grpc::GenericServerAsyncReaderWriter> writes(&stream);
    grpc::ByteBuffer message;
    void *what = nullptr;
    bool ok = false;
    for (bool open = true; open && queue->Next(&what, &ok);) {
      switch (tag_of(what)) {
        case kStarted:
          if (!ok) return 1;
          stream.Read(&message, tag(kRead));
          break;
        case kRead:
          if (ok) {
            writes.add(copy_of(message));
            stream.Read(&message, tag(kRead));
          } else {
            stream.Finish(grpc::Status::OK, tag(kOther));
          }
          break;
        case kWritten:
          if (ok) writes.written();
          break;
        case kOther:
          open = false;
          break;
      }
    }
  }
}

struct Caller {
  std::vector<char> payload;
  unsigned turn = 0;
  Clock::time_point sent_at;
};

struct Figures {
  uint64_t calls = 0;
  std::vector<double> latencies_us;
};

class Client {
 public:
  explicit Client(const std::string &address)
      : stub_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())) {
    stream_ = stub_.PrepareCall(&context_, "/bench.Echo/Stream", &queue_);
    stream_->StartCall(tag(kStarted));
    void *what = nullptr;
    bool ok = false;
    queue_.Next(&what, &ok);
    if (!ok) std::exit(1);
    writes_ = std::make_unique<Writes<grpc::GenericClientAsyncReaderWriter>>(stream_.get());
    stream_->Read(&reply_, tag(kRead));
  }

  // Answers come in order, so the callers wait in a line.
  Figures load(size_t bytes, size_t in_flight, double seconds) {
    Figures figures;
    const unsigned every = in_flight == 1 ? 1 : 10;
    const auto until = Clock::now() + std::chrono::duration<double>(seconds);
    std::vector<Caller> callers(in_flight);
    std::deque<Caller *> line;
    for (Caller &caller : callers) {
      caller.payload.resize(bytes);
      send(caller, every, line);
    }
    while (!line.empty()) {
      void *what = nullptr;
      bool ok = false;
      if (!queue_.Next(&what, &ok) || !ok) std::exit(1);
      if (tag_of(what) == kWritten) {
        writes_->written();
        continue;
      }
      Caller &caller = *line.front();
      line.pop_front();
      check(caller);
      stream_->Read(&reply_, tag(kRead));
      figures.calls += 1;
      const bool timed = caller.turn % every == 0;
      const auto now = timed ? Clock::now() : Clock::time_point();
      if (timed) {
        figures.latencies_us.push_back(
            std::chrono::duration<double, std::micro>(now - caller.sent_at).count());
      }
      if (!timed || now < until) send(caller, every, line);
    }
    return figures;
  }

 private:
  void send(Caller &caller, unsigned every, std::deque<Caller *> &line) {
    caller.turn += 1;
    std::memset(caller.payload.data(), static_cast<int>(caller.turn & 0xff), caller.payload.size());
    if (caller.turn % every == 0) caller.sent_at = Clock::now();
    line.push_back(&caller);
    const grpc::Slice slice(caller.payload.data(), caller.payload.size());
    writes_->add(grpc::ByteBuffer(&slice, 1));
  }

  void check(const Caller &caller) {
    std::vector<grpc::Slice> slices;
    reply_.Dump(&slices);
    size_t at = 0;
    for (const auto &slice : slices) {
      if (at + slice.size() > caller.payload.size() ||
          std::memcmp(slice.begin(), caller.payload.data() + at, slice.size()) != 0) {
        std::fputs("the echo is not what was sent\n", stderr);
        std::exit(1);
      }
      at += slice.size();
    }
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  std::unique_ptr<Writes<grpc::GenericClientAsyncReaderWriter>> writes_;
  grpc::ByteBuffer reply_;
};

double share(std::vector<double> &values, double part) {
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(static_cast<double>(values.size()) * part);
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(at), values.end());
  return values[at];
}

int call(const std::string &address) {
  Client client(address);
  std::puts("ready");
  std::fflush(stdout);
  size_t bytes = 0;
  size_t in_flight = 0;
  double seconds = 0;
  while (std::cin >> bytes >> in_flight >> seconds) {
    const auto started = Clock::now();
    Figures figures = client.load(bytes, in_flight, seconds);
    const double elapsed = std::chrono::duration<double>(Clock::now() - started).count();
    std::printf("{\"calls\":%llu,\"seconds\":%.6f,\"p50Us\":%.3f,\"p99Us\":%.3f}\n",
                static_cast<unsigned long long>(figures.calls), elapsed,
                share(figures.latencies_us, 0.5), share(figures.latencies_us, 0.99));
    std::fflush(stdout);
  }
  // The stream ends with the process: nobody waits for its status.
  std::_Exit(0);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const std::string address = std::string("unix:") + argv[2];
  return std::strcmp(argv[1], "server") == 0 ? serve(address) : call(address);
}
