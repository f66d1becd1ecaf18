// SPDX-License-Identifier: Apache-2.0
#include "resources.h"

#include "plugin_call.h"

namespace axle::host {

void close_queue(const Queue &queue) noexcept {
  const PluginLibrary *library = queue.instance->library;
  call_plugin_void(library, "queue_close",
                   [&] { library->table.queue_close(queue.instance->handle, queue.handle); });
  PluginTable::get().release(queue.instance);
}

void close_stream(const Stream &stream) noexcept {
  const PluginLibrary *library = stream.instance->library;
  call_plugin_void(library, "stream_close",
                   [&] { library->table.stream_close(stream.instance->handle, stream.handle); });
  PluginTable::get().release(stream.instance);
}

void unload_model(const Model &model) noexcept {
  const PluginLibrary *library = model.instance->library;
  call_plugin_void(library, "model_unload",
                   [&] { library->table.model_unload(model.instance->handle, model.handle); });
  PluginTable::get().release(model.instance);
}

}  // namespace axle::host
