// SPDX-License-Identifier: Apache-2.0
//
// What the parts of the client have of each other: client.c is its life, client_requests.c starts
// requests, client_send.c and client_receive.c move bytes.
#ifndef AXLE_CLIENT_PARTS_H
#define AXLE_CLIENT_PARTS_H

#include "axle/client.h"
#include "memory.h"

// PING is the kind of a request that has no handle.

// ---- client.c

// Ends the connection: every request ends too.
void axle_client_lose(axle_client *client, uint16_t status, uint16_t wire_error,
                      const axle_wire_bytes *message);
// Because a frame of the server's is out of form or out of place.
void axle_client_refuse(axle_client *client, int32_t wire_error);
void axle_client_set_message(char *message, const axle_wire_bytes *text);

// ---- client_requests.c

void axle_client_add(axle_client *client, axle_request *request, uint8_t kind, uint64_t handle);
// NULL for a handle that nothing waits for.
axle_request *axle_client_find(const axle_client *client, uint64_t handle);
// The answer came, or none will: the request is done once no frame with its memory is being written.
void axle_request_end(axle_client *client, axle_request *request, uint16_t status);
void axle_request_fail(axle_client *client, axle_request *request, uint16_t status,
                       const axle_wire_bytes *message);
// It is answered by what its DATA brings, and a failure of this side goes before.
void axle_request_complete(axle_client *client, axle_request *request);

// ---- client_send.c

// An empty frame.
void axle_frame_of(axle_wire_frame *frame, uint8_t type, uint64_t id);
// A frame without records, into the send buffer: 0, AXLE_CLIENT_AGAIN or AXLE_STATUS_INVALID_ARGUMENT.
int32_t axle_client_write(axle_client *client, const axle_wire_frame *frame);
// The same of one with records: begin, put them with the writer, end.
void axle_client_begin(axle_client *client, axle_wire_writer *writer, const axle_wire_frame *frame);
int32_t axle_client_end(axle_client *client, axle_wire_writer *writer, int is_control);
// Whether something moved.
int axle_client_send(axle_client *client);
// Whether bytes wait for room in the transport.
int axle_client_waits_to_send(const axle_client *client);
// The next part of what the request has to send.
void axle_request_next_part(axle_request *request);
// Fails requests that got no credit for too long.
void axle_client_check_stalls(axle_client *client, uint64_t now_us);

// ---- client_receive.c

// Whether something moved.
int axle_client_receive(axle_client *client);

#endif  // AXLE_CLIENT_PARTS_H
