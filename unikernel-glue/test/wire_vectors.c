// SPDX-License-Identifier: Apache-2.0
//
// Reads frames, one on a line ("client HEX" or "server HEX"), and prints for each a line of JSON: what
// it says, under the names that the test vectors use, with numbers for all that they name; or
// {"error": N}. A frame that is not written to the same bytes is {"error": "rewritten"}.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rewrite.h"

#define FRAME_BYTES_MAX (AXLE_WIRE_HEADER_BYTES + AXLE_WIRE_PAYLOAD_BYTES_MAX)

static const char *separator;

static void key(const char *name) {
  printf("%s\"%s\":", separator, name);
  separator = ",";
}

static void number(const char *name, uint64_t value) {
  key(name);
  printf("%" PRIu64, value);
}

static void flag(const char *name, int value) {
  key(name);
  printf(value ? "true" : "false");
}

static void hex(const char *name, const uint8_t *data, size_t bytes) {
  key(name);
  putchar('"');
  for (size_t i = 0; i < bytes; i++) printf("%02x", data[i]);
  putchar('"');
}

static void quoted(axle_wire_bytes text) {
  putchar('"');
  for (uint32_t i = 0; i < text.bytes; i++) {
    const uint8_t c = text.data[i];
    if (c < 0x20 || c == '"' || c == '\\') {
      printf("\\u%04x", c);
    } else {
      putchar(c);
    }
  }
  putchar('"');
}

static void text(const char *name, axle_wire_bytes value) {
  key(name);
  quoted(value);
}

static void open(const char *name, const char *bracket) {
  key(name);
  printf("%s", bracket);
  separator = "";
}

static void item(void) {
  printf("%s{", separator);
  separator = "";
}

static void close(const char *bracket) {
  printf("%s", bracket);
  separator = ",";
}

static void dims(const uint64_t *values, unsigned rank) {
  open("shape", "[");
  for (unsigned i = 0; i < rank; i++) printf("%s%" PRIu64, i == 0 ? "" : ",", values[i]);
  close("]");
}

static void one_tensor(const axle_wire_tensor *t) {
  number("source", t->source);
  number("slot", t->slot);
  if (t->source == AXLE_SOURCE_HANDLE) {
    number("output", t->output);
    number("handle", t->handle);
    return;
  }
  number("dtype", t->dtype);
  dims(t->dims, t->rank);
  text("name", t->name);
  if (t->source == AXLE_SOURCE_INLINE) {
    hex("data", t->data, (size_t)t->bytes);
    return;
  }
  number("bytes", t->bytes);
  if (t->source != AXLE_SOURCE_SHARED) return;
  number("arena", t->arena);
  number("offset", t->offset);
}

static void tensors(const char *name, axle_wire_records records) {
  axle_wire_tensor t;
  open(name, "[");
  while (axle_wire_next_tensor(&records, &t)) {
    item();
    one_tensor(&t);
    close("}");
  }
  close("]");
}

static void greeting(const axle_wire_greeting *g, const char *nonce) {
  number("version", g->version);
  number("versionMin", g->version_min);
  number("versionMax", g->version_max);
  number("features", g->features);
  hex(nonce, g->nonce, 16);
  number("payloadMax", g->payload_max);
  number("streamWindow", g->stream_window);
  number("connectionWindow", g->connection_window);
  text("tenant", g->tenant);
  text("agent", g->agent);
}

static void hello(const axle_wire_hello *h) {
  greeting(&h->greeting, "nonce");
  number("credential", h->credential);
  hex("token", h->token.data, h->token.bytes);
}

static void welcome(const axle_wire_welcome *w) {
  greeting(&w->greeting, "instance");
  number("callsMax", w->calls_max);
  number("handlesMax", w->handles_max);
  number("idleMs", w->idle_ms);
  number("requestBytesMax", w->request_bytes_max);
  number("modelBytesMax", w->model_bytes_max);
  number("lastHandle", w->last_handle);
  number("resumeMs", w->resume_ms);
}

static void goaway(const axle_wire_goaway *g) {
  number("code", g->code);
  number("wireError", g->wire_error);
  number("versionMin", g->version_min);
  number("versionMax", g->version_max);
  number("last", g->last);
  number("graceMs", g->grace_ms);
  text("alternate", g->alternate);
  text("message", g->message);
}

static void health(const axle_wire_health *h) {
  number("device", h->device);
  number("state", h->state);
  number("waitUs", h->wait_us);
  text("message", h->message);
}

static void one_arg(const axle_wire_arg *arg) {
  double f = 0;
  text("name", arg->name);
  number("type", arg->type);
  if (arg->type == AXLE_ARG_BOOL) flag("value", arg->i == 1);
  if (arg->type == AXLE_ARG_STRING) text("value", arg->value);
  if (arg->type == AXLE_ARG_BYTES) hex("value", arg->value.data, arg->value.bytes);
  if (arg->type != AXLE_ARG_INT && arg->type != AXLE_ARG_FLOAT) return;
  memcpy(&f, &arg->f, sizeof(f));
  key("value");
  if (arg->type == AXLE_ARG_INT) printf("%" PRId64, arg->i);
  if (arg->type == AXLE_ARG_FLOAT) printf("%.17g", f);
}

static void bind(const axle_wire_bind *b, uint8_t flags) {
  axle_wire_records records = b->args;
  axle_wire_arg arg;
  axle_wire_bytes name;
  flag("strict", flags & AXLE_FLAG_BIND_STRICT);
  flag("names", flags & AXLE_FLAG_BIND_NAMES);
  flag("labels", flags & AXLE_FLAG_BIND_LABELS);
  flag("steps", flags & AXLE_FLAG_BIND_STEPS);
  number("op", b->op);
  number("opVersion", b->op_version);
  number("first", b->first);
  number("last", b->last);
  text("opName", b->op_name);
  text("device", b->device);
  number("model", b->model);
  number("outputBytesMax", b->output_bytes_max);
  open("args", "[");
  while (axle_wire_next_arg(&records, &arg)) {
    item();
    one_arg(&arg);
    close("}");
  }
  close("]");
  open("inputNames", "[");
  records = b->input_names;
  for (int i = 0; axle_wire_next_name(&records, &name); i++) {
    if (i > 0) putchar(',');
    quoted(name);
  }
  close("]");
}

static void trace(const axle_wire_trace *t, int is_there) {
  if (!is_there) {
    key("trace");
    printf("null");
    return;
  }
  open("trace", "{");
  hex("traceId", t->trace_id, 16);
  hex("parentId", t->parent_id, 8);
  number("traceFlags", t->trace_flags);
  close("}");
}

static void call_head(const axle_wire_call *c) {
  number("binding", c->binding);
  number("deadlineUs", c->deadline_us);
  key("priority");
  printf("%d", c->priority);
}

static void call(const axle_wire_call *c, uint8_t flags) {
  flag("keep", flags & AXLE_FLAG_CALL_KEEP);
  flag("omit", flags & AXLE_FLAG_CALL_OMIT);
  flag("replay", flags & AXLE_FLAG_CALL_REPLAY);
  call_head(c);
  if (flags & AXLE_FLAG_CALL_PLACE) {
    open("place", "{");
    number("arena", c->place.arena);
    number("offset", c->place.offset);
    number("bytes", c->place.bytes);
    close("}");
  } else {
    key("place");
    printf("null");
  }
  trace(&c->trace, flags & AXLE_FLAG_CALL_TRACE);
  tensors("inputs", c->inputs);
}

static void put(const axle_wire_put *p) {
  axle_wire_records records = p->tensor;
  axle_wire_tensor t;
  open("tensor", "{");
  if (axle_wire_next_tensor(&records, &t)) one_tensor(&t);
  close("}");
}

static void model(const axle_wire_model *m, uint8_t flags) {
  flag("manifest", flags & AXLE_FLAG_MODEL_MANIFEST);
  flag("content", flags & AXLE_FLAG_MODEL_CONTENT);
  flag("named", flags & AXLE_FLAG_MODEL_NAMED);
  hex("contentId", m->content_id, 32);
  number("bytes", m->bytes);
  number("manifestBytes", m->manifest_bytes);
  text("name", m->name);
  text("format", m->format);
  text("entry", m->entry);
}

static void load(const axle_wire_load *l, uint8_t flags) {
  flag("strict", flags & AXLE_FLAG_LOAD_STRICT);
  number("model", l->model);
  number("deadlineUs", l->deadline_us);
  key("priority");
  printf("%d", l->priority);
  text("device", l->device);
}

static void publish(const axle_wire_publish *p, const axle_wire_frame *frame) {
  if (frame->type == AXLE_FRAME_PUBLISH) {
    flag("replace", frame->flags & AXLE_FLAG_PUBLISH_REPLACE);
    number("model", p->model);
  }
  text("name", p->name);
  text("version", p->version);
}

static void result(const axle_wire_result *r) {
  axle_wire_records records = r->steps;
  axle_wire_step s;
  axle_wire_fallback f;
  number("queueUs", r->queue_us);
  number("transferUs", r->transfer_us);
  number("computeUs", r->compute_us);
  number("totalUs", r->total_us);
  number("batchSize", r->batch_size);
  number("device", r->device);
  tensors("outputs", r->outputs);
  open("steps", "[");
  while (axle_wire_next_step(&records, &s)) {
    item();
    number("first", s.first);
    number("last", s.last);
    number("batchSize", s.batch_size);
    number("device", s.device);
    number("queueUs", s.queue_us);
    number("transferUs", s.transfer_us);
    number("computeUs", s.compute_us);
    close("}");
  }
  close("]");
  open("fallbacks", "[");
  records = r->fallbacks;
  while (axle_wire_next_fallback(&records, &f)) {
    item();
    number("code", f.code);
    number("device", f.device);
    text("message", f.message);
    close("}");
  }
  close("]");
}

static void error(const axle_wire_failure *e, uint8_t flags) {
  flag("retryable", flags & AXLE_FLAG_ERROR_RETRYABLE);
  flag("outcomeUnknown", flags & AXLE_FLAG_ERROR_OUTCOME_UNKNOWN);
  number("code", e->code);
  number("device", e->device);
  number("retryAfterUs", e->retry_after_us);
  number("cause", e->cause);
  text("message", e->message);
  text("detail", e->detail);
}

static void need(const axle_wire_need *n, uint8_t flags) {
  axle_wire_records records = n->ranges;
  axle_wire_range r;
  flag("manifest", flags & AXLE_FLAG_NEED_MANIFEST);
  open("ranges", "[");
  while (axle_wire_next_range(&records, &r)) {
    item();
    number("offset", r.offset);
    number("bytes", r.bytes);
    close("}");
  }
  close("]");
}

static void device(const axle_wire_device *d) {
  number("index", d->index);
  number("kind", d->kind);
  number("health", d->health);
  number("deviceFlags", d->device_flags);
  number("memoryBytes", d->memory_bytes);
  number("parallel", d->parallel);
  number("waitUs", d->wait_us);
  text("device", d->device);
  text("name", d->name);
  text("backend", d->backend);
  text("backendVersion", d->backend_version);
  text("message", d->message);
}

static void op(const axle_wire_op *o) {
  number("op", o->op);
  number("opVersion", o->op_version);
  number("first", o->first);
  number("last", o->last);
  number("opFlags", o->op_flags);
  number("batchMax", o->batch_max);
  number("argCount", o->arg_count);
  number("inputCount", o->input_count);
  number("outputCount", o->output_count);
  text("name", o->name);
  text("doc", o->doc);
  hex("devices", o->devices, 32);
}

static void arg_spec(const axle_wire_arg_spec *a) {
  number("argType", a->arg_type);
  flag("required", a->required);
  number("index", a->index);
  text("name", a->name);
  text("doc", a->doc);
}

static void tensor_spec(const axle_wire_tensor_spec *t, uint8_t flags) {
  axle_wire_records records = t->dims;
  int64_t dim = 0;
  flag("anyRank", flags & AXLE_FLAG_TENSOR_SPEC_ANY_RANK);
  number("role", t->role);
  number("dtype", t->dtype);
  number("index", t->index);
  text("name", t->name);
  open("shape", "[");
  for (int i = 0; axle_wire_next_dim(&records, &dim); i++) {
    printf("%s%" PRId64, i == 0 ? "" : ",", dim);
  }
  close("]");
}

static void model_entry(const axle_wire_model_entry *m) {
  hex("contentId", m->content_id, 32);
  number("bytes", m->bytes);
  number("batchMax", m->batch_max);
  number("labels", m->labels);
  text("name", m->name);
  text("version", m->version);
  text("format", m->format);
  text("problem", m->problem);
  number("inputCount", m->input_count);
  number("outputCount", m->output_count);
}

static void arena(const axle_wire_arena *a, uint8_t type) {
  if (type != AXLE_FRAME_ATTACH) number("arena", a->arena);
  if (type == AXLE_FRAME_ARENA || type == AXLE_FRAME_ATTACHED) number("bytes", a->bytes);
  if (type == AXLE_FRAME_ARENA || type == AXLE_FRAME_ATTACH) hex("ticket", a->ticket, 16);
}

static void body(const axle_wire_frame *f) {
  switch (f->type) {
    case AXLE_FRAME_HELLO:
      hello(&f->body.hello);
      break;
    case AXLE_FRAME_WELCOME:
      welcome(&f->body.welcome);
      break;
    case AXLE_FRAME_GOAWAY:
      goaway(&f->body.goaway);
      break;
    case AXLE_FRAME_CREDIT:
      number("bytes", f->body.credit.bytes);
      break;
    case AXLE_FRAME_HEALTH:
      health(&f->body.health);
      break;
    case AXLE_FRAME_USED:
      number("device", f->body.used.device);
      number("usedUs", f->body.used.used_us);
      break;
    case AXLE_FRAME_BIND:
      bind(&f->body.bind, f->flags);
      break;
    case AXLE_FRAME_CALL:
      call(&f->body.call, f->flags);
      break;
    case AXLE_FRAME_STREAM:
      call_head(&f->body.call);
      trace(&f->body.call.trace, f->flags & AXLE_FLAG_STREAM_TRACE);
      break;
    case AXLE_FRAME_PUT:
      put(&f->body.put);
      break;
    case AXLE_FRAME_MODEL:
      model(&f->body.model, f->flags);
      break;
    case AXLE_FRAME_LOAD:
      load(&f->body.load, f->flags);
      break;
    case AXLE_FRAME_PUBLISH:
    case AXLE_FRAME_REMOVE:
      publish(&f->body.publish, f);
      break;
    case AXLE_FRAME_DESCRIBE:
      flag("watch", f->flags & AXLE_FLAG_DESCRIBE_WATCH);
      break;
    case AXLE_FRAME_READ:
      number("model", f->body.read.model);
      text("file", f->body.read.file);
      break;
    case AXLE_FRAME_RESULT:
      result(&f->body.result);
      break;
    case AXLE_FRAME_ERROR:
      error(&f->body.error, f->flags);
      break;
    case AXLE_FRAME_BOUND:
      number("score", f->body.bound.score);
      number("opFlags", f->body.bound.op_flags);
      number("device", f->body.bound.device);
      break;
    case AXLE_FRAME_LOADED:
      number("memoryBytes", f->body.loaded.memory_bytes);
      number("device", f->body.loaded.device);
      number("inputCount", f->body.loaded.input_count);
      number("outputCount", f->body.loaded.output_count);
      break;
    case AXLE_FRAME_NEED:
      need(&f->body.need, f->flags);
      break;
    case AXLE_FRAME_DEVICE:
      device(&f->body.device);
      break;
    case AXLE_FRAME_OP:
      op(&f->body.op);
      break;
    case AXLE_FRAME_ARG_SPEC:
      arg_spec(&f->body.arg_spec);
      break;
    case AXLE_FRAME_TENSOR_SPEC:
      tensor_spec(&f->body.tensor_spec, f->flags);
      break;
    case AXLE_FRAME_MODEL_ENTRY:
      model_entry(&f->body.model_entry);
      break;
    case AXLE_FRAME_DATA:
      flag("end", f->flags & AXLE_FLAG_DATA_END);
      hex("data", f->body.data.data.data, f->body.data.data.bytes);
      break;
    case AXLE_FRAME_ARENA:
    case AXLE_FRAME_ARENA_READY:
    case AXLE_FRAME_ATTACH:
    case AXLE_FRAME_ATTACHED:
      arena(&f->body.arena, f->type);
      break;
    default:
      break;
  }
}

static void print(const axle_wire_frame *frame) {
  printf("{");
  separator = "";
  number("type", frame->type);
  number("id", frame->id);
  body(frame);
  printf("}\n");
}

// `data` is allocated to the byte, for sanitizers.
static void read_frame(uint32_t from, const uint8_t *data, size_t bytes) {
  axle_wire_header header;
  axle_wire_frame frame;
  int32_t refused = axle_wire_read_header(data, from, AXLE_WIRE_PAYLOAD_BYTES_MAX, &header);
  if (refused == 0 && bytes != AXLE_WIRE_HEADER_BYTES + header.payload_bytes) {
    printf("{\"error\":\"length\"}\n");
    return;
  }
  if (refused == 0) refused = axle_wire_decode(&header, data + AXLE_WIRE_HEADER_BYTES, &frame);
  if (refused != 0) {
    printf("{\"error\":%d}\n", refused);
    return;
  }
  uint8_t *again = malloc(bytes);
  if (again == NULL) abort();
  axle_wire_writer writer;
  axle_wire_writer_init(&writer, again, bytes);
  if (axle_wire_rewrite(&frame, &writer) != 0 || memcmp(again, data, bytes) != 0) {
    printf("{\"error\":\"rewritten\"}\n");
  } else {
    print(&frame);
  }
  free(again);
}

int main(void) {
  static char line[2 * FRAME_BYTES_MAX + 16];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    const uint32_t from = line[0] == 'c' ? AXLE_WIRE_CLIENT : AXLE_WIRE_SERVER;
    const char *digits = strchr(line, ' ');
    if (digits == NULL) return 2;
    const size_t bytes = strcspn(++digits, "\n") / 2;
    uint8_t *data = malloc(bytes);
    if (data == NULL) abort();
    for (size_t i = 0; i < bytes; i++) {
      unsigned value = 0;
      if (sscanf(digits + 2 * i, "%2x", &value) != 1) return 2;
      data[i] = (uint8_t)value;
    }
    read_frame(from, data, bytes);
    free(data);
  }
  return 0;
}
