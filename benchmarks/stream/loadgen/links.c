/* Bytes of one connection: the upgrade, frames (RFC 6455), shared deflated messages (RFC 7692).
 *
 * No message is kept: of each the first kilobyte is looked at, which says all that counts here, and
 * of snapshots everything is hashed as it came, deflated or not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "loadgen.h"

static uint8_t buffer[1 << 18];

/* Under the mask of zeroes. What does not fit into an empty buffer of the kernel is not sent. */
void link_send(struct link *link, uint8_t opcode, const void *payload, size_t size) {
  uint8_t frame[1200] = {0x80 | opcode};
  size_t head = 6;
  if (size < 126) {
    frame[1] = (uint8_t)(0x80 | size);
  } else {
    frame[1] = 0x80 | 126;
    frame[2] = (uint8_t)(size >> 8);
    frame[3] = (uint8_t)size;
    head = 8;
  }
  if (head + size > sizeof frame) die("a message too long");
  memcpy(frame + head, payload, size);
  if (send(link->fd, frame, head + size, MSG_NOSIGNAL) < 0) {
    /* A broken connection shows when it is read; a full one is one whose pings go unanswered. */
  }
}

void link_shut(struct link *link) {
  if (link->fd >= 0) close(link->fd);
  link->fd = -1;
  link->stage = CLOSED;
}

void link_close(struct link *link, int code) {
  uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
  if (link->stage >= ASKED) link_send(link, 8, payload, sizeof payload);
  link_shut(link);
}

static void send_upgrade(struct link *link) {
  const struct plan *plan = link->client->plan;
  bool browser = plan->context[0] != 0;
  char request[1024];
  int size = snprintf(
      request, sizeof request,
      "GET /stream/v1%s%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: halyard.v1\r\n%s%s%s%s\r\n",
      browser ? "?key=" : "", browser ? plan->key : "", port,
      browser ? "Origin: https://bench.example" : "Authorization: Bearer ",
      browser ? "" : plan->key, "\r\n",
      plan->deflate ? "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                      "client_no_context_takeover\r\n"
                    : "");
  if (send(link->fd, request, (size_t)size, MSG_NOSIGNAL) == size) return;
  link_closed(link, 0);
}

/* The answer to the upgrade; returns how many bytes of the data belong to it. */
static size_t upgraded(struct link *link, const uint8_t *data, size_t size) {
  size_t held = link->head_size, taken = size < HEAD - held ? size : HEAD - held;
  memcpy(link->head + held, data, taken);
  link->head[held + taken] = 0;
  char *head = (char *)link->head, *end = strstr(head, "\r\n\r\n");
  if (end == NULL) {
    link->head_size = (uint32_t)(held + taken);
    if (link->head_size == HEAD) link_refused(link, 599, -1);
    return taken;
  }
  *end = 0;
  int status = 0;
  if (sscanf(head, "HTTP/1.1 %d", &status) != 1 || status < 100 || status >= 600) status = 599;
  if (status != 101) {
    const char *retry = strcasestr(head, "\r\nretry-after:");
    link_refused(link, status, retry ? strtod(retry + strlen("\r\nretry-after:"), NULL) : -1);
    return size;
  }
  counts.handshakes++;
  link->head_size = 0;
  link->stage = ASKED;
  link->opened_s = link->heard_s;
  session_hello(link);
  return (size_t)(end - head) + 4 - held;
}

/* The head of the message as text. */
static void read_head(struct link *link) {
  static z_stream inflater;
  static bool begun;
  static uint8_t text[HEAD + 1];
  link->is_read = true;
  link->head[link->head_size] = 0;
  const uint8_t *head = link->head;
  if (link->compressed) {
    if (!begun && inflateInit2(&inflater, -15) != Z_OK) die("zlib");
    begun = true;
    inflateReset(&inflater);
    inflater.next_in = link->head;
    inflater.avail_in = link->head_size;
    inflater.next_out = text;
    inflater.avail_out = HEAD;
    inflate(&inflater, Z_SYNC_FLUSH); /* of a part: whatever comes out */
    text[HEAD - inflater.avail_out] = 0;
    head = text;
  }
  said_read(&link->said, (const char *)head);
  link->is_hashed = link->said.kind == SNAPSHOT;
  if (link->is_hashed) {
    xxh64_begin(&link->hash);
    xxh64_add(&link->hash, link->head, link->head_size);
  }
}

static void message_bytes(struct link *link, const uint8_t *data, size_t size) {
  link->message_size += size;
  if (!link->is_read) {
    size_t taken = size < HEAD - link->head_size ? size : HEAD - link->head_size;
    memcpy(link->head + link->head_size, data, taken);
    link->head_size += (uint32_t)taken;
    data += taken;
    size -= taken;
    if (link->head_size == HEAD) read_head(link);
  }
  if (link->is_hashed && size > 0) xxh64_add(&link->hash, data, size);
}

static void control(struct link *link, int opcode) {
  if (opcode == 9) link_send(link, 10, link->control, link->control_size);
  if (opcode != 8) return;
  int code = link->control_size >= 2 ? link->control[0] << 8 | link->control[1] : 1005;
  link_send(link, 8, link->control, link->control_size < 2 ? 0 : 2);
  link_closed(link, code);
}

static void frame_ended(struct link *link) {
  uint8_t first = link->frame[0], opcode = first & 15;
  link->frame_size = 0;
  link->in_payload = false;
  if (opcode >= 8) {
    control(link, opcode);
  } else if (first & 0x80) {
    if (!link->is_read) read_head(link);
    session_heard(link);
  }
}

/* One byte more of a frame's header. */
static void header_byte(struct link *link, uint8_t byte) {
  link->frame[link->frame_size++] = byte;
  if (link->frame_size < 2) return;
  uint8_t short_size = link->frame[1] & 127;
  uint32_t wide = short_size == 126 ? 2 : short_size == 127 ? 8 : 0;
  if (link->frame_size < 2 + wide) return;
  link->left = wide ? 0 : short_size;
  for (uint32_t i = 0; i < wide; i++) link->left = link->left << 8 | link->frame[2 + i];
  link->in_payload = true;
  link->control_size = 0;
  uint8_t opcode = link->frame[0] & 15;
  if (opcode == 1 || opcode == 2) { /* the first of a message */
    link->compressed = link->frame[0] & 0x40;
    link->is_read = link->is_hashed = false;
    link->head_size = 0;
    link->message_size = 0;
  }
}

static void frames(struct link *link, const uint8_t *data, size_t size) {
  while (link->fd >= 0) {
    if (link->in_payload && link->left == 0) {
      frame_ended(link);
      continue;
    }
    if (size == 0) return;
    if (!link->in_payload) {
      header_byte(link, *data++);
      size--;
      continue;
    }
    size_t taken = size < link->left ? size : (size_t)link->left;
    if ((link->frame[0] & 15) < 8) {
      message_bytes(link, data, taken);
    } else {
      size_t room = sizeof link->control - link->control_size;
      size_t kept = taken < room ? taken : room;
      memcpy(link->control + link->control_size, data, kept);
      link->control_size += (uint32_t)kept;
    }
    link->left -= taken;
    data += taken;
    size -= taken;
  }
}

static bool dialed(struct link *link) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    link_closed(link, 0);
    return false;
  }
  link->stage = UPGRADING;
  watch(link, EPOLLIN, false);
  send_upgrade(link);
  return link->fd >= 0;
}

void link_ready(struct link *link, uint32_t events) {
  if (link->fd < 0) return; /* closed by another event of the same turn */
  if (link->stage == DIALING && !dialed(link)) return;
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  ssize_t size = recv(link->fd, buffer, sizeof buffer, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    link_closed(link, 0);
    return;
  }
  counts.bytes += (uint64_t)size;
  link->heard_s = now_s();
  size_t used = 0;
  if (link->stage == UPGRADING) used = upgraded(link, buffer, (size_t)size);
  if (link->stage >= ASKED) frames(link, buffer + used, (size_t)size - used);
}
