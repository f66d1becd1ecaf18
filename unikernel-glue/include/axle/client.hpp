// SPDX-License-Identifier: Apache-2.0
//
// axle/client.hpp - the client of axle/client.h for C++17: a client and requests that end themselves, spans,
// and results that are a status and a value. examples/classify.cpp has it all.
//
// Header only. No exceptions, no RTTI, no allocation, nothing of the standard library: it compiles with
// -ffreestanding -fno-exceptions -fno-rtti. All memory is the caller's, as in C; objects are neither copied
// nor moved, because the client knows their place.
//
// A client outlives its requests, and a request outlives those that name it as their binding: declared in the
// order of use, they end in the right order by themselves.
#ifndef AXLE_CLIENT_HPP
#define AXLE_CLIENT_HPP

#include "client.h"

namespace axle {

/// Elements that lie elsewhere, and how many.
template <typename T>
class span {
 public:
  constexpr span() = default;
  constexpr span(T *data, size_t size) : data_(data), size_(size) {}
  template <size_t N>
  constexpr span(T (&array)[N]) : data_(array), size_(N) {}
  /// To a span of the same that are not written.
  constexpr operator span<const T>() const { return {data_, size_}; }

  constexpr T *data() const { return data_; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr T *begin() const { return data_; }
  constexpr T *end() const { return data_ + size_; }
  constexpr T &operator[](size_t index) const { return data_[index]; }

 private:
  T *data_ = nullptr;
  size_t size_ = 0;
};

using bytes = span<const uint8_t>;
using buffer = span<uint8_t>;

/// A literal as text of the protocol.
template <size_t N>
axle_wire_bytes text(const char (&literal)[N]) {
  return {reinterpret_cast<const uint8_t *>(literal), static_cast<uint32_t>(N - 1)};
}

/// How something went: 0, AXLE_CLIENT_AGAIN (poll, and try again), or an AXLE_STATUS_* with its message.
class [[nodiscard]] status {
 public:
  status(int32_t code = AXLE_STATUS_OK, const char *message = "")
      : code_(code), message_(message) {}

  bool ok() const { return code_ == AXLE_STATUS_OK; }
  /// No room or credit now, or it is still under way.
  bool again() const { return code_ == AXLE_CLIENT_AGAIN; }
  int32_t code() const { return code_; }
  /// Lies in the client or request that it is of.
  const char *message() const { return message_; }

 private:
  int32_t code_;
  const char *message_;
};

/// A value, and whether there is one.
template <typename T>
class [[nodiscard]] result {
 public:
  result(T value) : value_(value) {}
  result(status failure) : why_(failure) {}

  bool ok() const { return why_.ok(); }
  explicit operator bool() const { return ok(); }
  const status &why() const { return why_; }
  /// All zeros unless ok().
  const T &value() const { return value_; }
  T value_or(T other) const { return ok() ? value_ : other; }

 private:
  T value_{};
  status why_;
};

/// A tensor of bytes to be sent, from where they lie. For other types: set `dtype`, `dims` and `rank`.
inline axle_input input(bytes data) {
  axle_input made{};
  made.data = data.data();
  made.bytes = data.size();
  return made;
}

/// A place for an output.
inline axle_output output(buffer memory) {
  axle_output made{};
  made.data = memory.data();
  made.capacity = memory.size();
  return made;
}

template <typename Number, typename T>
void copy_bits(uint64_t bits, T *value) {
  const Number number = static_cast<Number>(bits);
  __builtin_memcpy(value, &number, sizeof(T));
}

/// Element `index` of an output that came, in the byte order of this machine. OUT_OF_RANGE past its end or its memory;
/// INVALID_ARGUMENT where its elements have another size.
template <typename T>
result<T> at(const axle_output &from, size_t index) {
  static_assert(sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8,
                "elements have 1, 2, 4 or 8 bytes");
  uint64_t elements = 1;
  for (unsigned i = 0; i < from.rank; i++) elements *= from.dims[i];
  if (elements != 0 && from.bytes / elements != sizeof(T)) {
    return status{AXLE_STATUS_INVALID_ARGUMENT, "its elements have another size"};
  }
  const uint64_t there = from.bytes < from.capacity ? from.bytes : from.capacity;
  if (from.data == nullptr || index >= there / sizeof(T)) {
    return status{AXLE_STATUS_OUT_OF_RANGE, "the output has no such element"};
  }
  const uint64_t bits =
      axle_load(static_cast<const uint8_t *>(from.data) + index * sizeof(T), sizeof(T));
  T value;
  if constexpr (sizeof(T) == 1) copy_bits<uint8_t>(bits, &value);
  if constexpr (sizeof(T) == 2) copy_bits<uint16_t>(bits, &value);
  if constexpr (sizeof(T) == 4) copy_bits<uint32_t>(bits, &value);
  if constexpr (sizeof(T) == 8) copy_bits<uint64_t>(bits, &value);
  return value;
}

/// Element `index` of an output of text or of other elements that differ in length. OUT_OF_RANGE where there is none.
inline result<bytes> element(const axle_output &from, uint32_t index) {
  const uint64_t there = from.bytes < from.capacity ? from.bytes : from.capacity;
  const axle_wire_bytes found = axle_element(from.data, from.data == nullptr ? 0 : there, index);
  if (found.data == nullptr)
    return status{AXLE_STATUS_OUT_OF_RANGE, "the output has no such element"};
  return bytes{found.data, found.bytes};
}

/// A connection. Its end closes it.
class client {
 public:
  struct options {
    axle_wire_bytes agent{};
    axle_wire_bytes tenant{};
    axle_wire_bytes token{};
    uint32_t stream_window = 0;
    uint32_t connection_window = 0;
  };

  /// Greets; nothing is waited for. `transport`, and both memories, stay for as long as the client. What is wrong with them
  /// shows in open().
  client(const axle_transport &transport, buffer send, buffer receive)
      : client(transport, send, receive, options{}) {}
  client(const axle_transport &transport, buffer send, buffer receive, const options &more) {
    axle_client_options all{};
    all.transport = transport;
    all.send_memory = send.data();
    all.send_bytes = send.size();
    all.receive_memory = receive.data();
    all.receive_bytes = receive.size();
    all.agent = more.agent;
    all.tenant = more.tenant;
    all.token = more.token;
    all.stream_window = more.stream_window;
    all.connection_window = more.connection_window;
    has_transport_ = axle_client_init(&raw_, &all) == 0;
    // One that was refused has not been closed.
    if (!has_transport_) transport.close(transport.context);
  }
  ~client() { close(); }
  client(const client &) = delete;
  client &operator=(const client &) = delete;

  /// Whether it may be used, and else why not.
  status open() const {
    if (raw_.state != AXLE_CLIENT_CLOSED) return {};
    return {raw_.status != AXLE_STATUS_OK ? raw_.status : AXLE_STATUS_UNAVAILABLE, raw_.message};
  }
  /// Moves what can be moved without blocking.
  status poll() { return of(axle_client_poll(&raw_)); }
  /// Ends all that is under way, and the connection. Not in a callback.
  void close() {
    if (has_transport_) axle_client_close(&raw_);
  }
  /// For what is not here: the functions of client.h.
  axle_client *raw() { return &raw_; }

  status of(int32_t code) const { return {code, code == 0 ? "" : raw_.message}; }

 private:
  axle_client raw_;
  bool has_transport_ = false;
};

/// Something that the server is asked for. One under way is cancelled and awaited at its end, which may block until the
/// server answers or is taken for lost; what it holds on the server is let go of. Not to be ended in a callback.
class request {
 public:
  explicit request(client &of) : client_(of), raw_{} {}
  ~request() { reset(); }
  request(const request &) = delete;
  request &operator=(const request &) = delete;

  /// Starts it; each as its function in client.h. What it held from an earlier start is let go of.
  status bind(const axle_bind &how) {
    return start([&] { return axle_client_bind(client_.raw(), &raw_, &how); });
  }
  status named_model(axle_wire_bytes name) {
    return start([&] { return axle_client_named_model(client_.raw(), &raw_, name); });
  }
  status put(axle_input &tensor) {
    return start([&] { return axle_client_put(client_.raw(), &raw_, &tensor); });
  }
  status ping() {
    return start([&] { return axle_client_ping(client_.raw(), &raw_); });
  }
  status ask(axle_wire_frame &frame) {
    return start([&] { return axle_client_ask(client_.raw(), &raw_, &frame); });
  }
  /// Both spans stay until it is done.
  status call(const request &binding, span<axle_input> inputs, span<axle_output> outputs,
              uint32_t deadline_us = 0) {
    axle_call how{};
    how.deadline_us = deadline_us;
    return call(binding, inputs, outputs, how);
  }
  /// With priority, flags and trace of `how`.
  status call(const request &binding, span<axle_input> inputs, span<axle_output> outputs,
              axle_call how) {
    if (inputs.size() > AXLE_WIRE_TENSORS_MAX || outputs.size() > AXLE_WIRE_TENSORS_MAX) {
      return {AXLE_STATUS_INVALID_ARGUMENT,
              "a call has AXLE_WIRE_TENSORS_MAX inputs and outputs at most"};
    }
    if (raw_.state == AXLE_REQUEST_PENDING) {
      return {AXLE_STATUS_FAILED_PRECONDITION, "the request is under way"};
    }
    how.inputs = inputs.data();
    how.input_count = static_cast<uint16_t>(inputs.size());
    raw_.outputs = outputs.data();
    raw_.output_count = static_cast<uint32_t>(outputs.size());
    return start([&] { return axle_client_call(client_.raw(), &raw_, &binding.raw_, &how); });
  }

  /// How it ended; AXLE_CLIENT_AGAIN when it has not after `timeout_us`.
  status wait(uint64_t timeout_us = AXLE_FOREVER) {
    const int32_t error = axle_client_wait(client_.raw(), &raw_, timeout_us);
    return error != 0 ? client_.of(error) : ended();
  }
  bool done() const { return raw_.state == AXLE_REQUEST_DONE; }
  /// The same without waiting.
  status ended() const {
    if (!done()) return {AXLE_CLIENT_AGAIN, "the request is under way"};
    return {raw_.status, raw_.message};
  }
  void cancel() { axle_client_cancel(client_.raw(), &raw_); }
  /// Names it in frames of others, before it is answered too.
  uint64_t handle() const { return raw_.handle; }
  /// For callbacks, times and the device.
  axle_request *raw() { return &raw_; }

  /// As at its end; then it may be started anew.
  void reset() {
    axle_client *c = client_.raw();
    if (raw_.state == AXLE_REQUEST_PENDING) {
      axle_client_cancel(c, &raw_);
      // Its memory is the client's until it is done, so a wait that fails leaves nothing but the end of all.
      if (axle_client_wait(c, &raw_, AXLE_FOREVER) != 0 && !done()) client_.close();
    }
    if (done()) let_go();
  }

 private:
  template <typename Begin>
  status start(Begin begin) {
    if (done()) let_go();
    return client_.of(begin());
  }

  // Whether the server keeps something under its handle: results that it was not to keep are gone with the answer.
  bool holds() const {
    switch (raw_.kind) {
      case AXLE_FRAME_BIND:
      case AXLE_FRAME_MODEL:
      case AXLE_FRAME_PUT:
        return true;
      case AXLE_FRAME_CALL:
        return (raw_.call_flags & AXLE_FLAG_CALL_KEEP) != 0;
      case AXLE_FRAME_DESCRIBE:
        return (raw_.call_flags & AXLE_FLAG_DESCRIBE_WATCH) != 0;
      default:
        return false;
    }
  }

  // Once it is done.
  void let_go() {
    axle_client *c = client_.raw();
    if (raw_.status == AXLE_STATUS_OK && holds()) {
      while (axle_client_release(c, &raw_) == AXLE_CLIENT_AGAIN && axle_client_poll(c) == 0) {
        uint64_t until_us = AXLE_FOREVER;
        const uint32_t events = axle_client_events(c, &until_us);
        c->transport.wait(c->transport.context, events, until_us);
      }
    }
    raw_.state = AXLE_REQUEST_IDLE;
  }

  client &client_;
  axle_request raw_;
};

}  // namespace axle

#endif  // AXLE_CLIENT_HPP
