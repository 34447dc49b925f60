/* Who connects when: as an SDK does, with full jitter from 0.1 to 20 s and Retry-After obeyed. */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "loadgen.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static const double FIRST_CEILING_S = 0.1, LAST_CEILING_S = 20, HEALTHY_S = 60, OPEN_S = 10,
                    LIMIT_S = 5, SILENCE_HEARTBEATS = 2.5;
enum { SOURCES = 250 };

struct client *clients;
uint32_t client_count, due_count;

struct link *newest(struct client *client) { return &client->links[client->newest]; }

static struct link *older(struct client *client) { return &client->links[!client->newest]; }

static double backoff(struct client *client) {
  double wait_s = chance() * client->ceiling_s;
  client->ceiling_s = fmin(LAST_CEILING_S, 2 * client->ceiling_s);
  return wait_s;
}

void client_due(struct client *client, double after_s) {
  if (client->due_s == 0) due_count++;
  client->due_s = now_s() + after_s;
}

void client_beside(struct client *client, double after_s) {
  if (now_s() - newest(client)->opened_s >= HEALTHY_S) client->ceiling_s = FIRST_CEILING_S;
  client_due(client, after_s + backoff(client));
}

void clients_add(const struct plan *plan, uint32_t count, double over_s) {
  for (uint32_t i = 0; i < count; i++) {
    struct client *client = &clients[client_count];
    *client = (struct client){.plan = plan, .number = client_count++, .seq = -1};
    client->ceiling_s = FIRST_CEILING_S;
    for (int n = 0; n < 2; n++) client->links[n] = (struct link){.client = client, .fd = -1};
    client_due(client, over_s * i / count);
  }
}

void watch(struct link *link, uint32_t events, bool added) {
  struct epoll_event wanted = {.events = events, .data.ptr = link};
  if (epoll_ctl(poll_fd, added ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, link->fd, &wanted) < 0)
    die("epoll_ctl");
}

/* From one of many addresses, each with its own ports: one address has too few of them. */
static int dialing_socket(const struct client *client) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  int yes = 1, size = client->plan->receive_buffer;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
  if (size > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  struct sockaddr_in from = {.sin_family = AF_INET};
  from.sin_addr.s_addr = htonl(0x7f010001u + client->number % SOURCES);
  if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind");
  return fd;
}

static void dial(struct client *client, double now) {
  if (newest(client)->fd >= 0) client->newest = !client->newest;
  struct link *link = newest(client);
  if (link->fd >= 0) link_close(link, 1000); /* two are enough */
  link->fd = dialing_socket(client);
  link->stage = DIALING;
  link->leaving = link->asked = link->in_payload = false;
  link->frame_size = link->head_size = 0;
  link->heard_s = link->opened_s = now;
  link->heartbeat_s = 15;
  if (counts.first_dial_s == 0) counts.first_dial_s = now;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  watch(link, EPOLLIN | EPOLLOUT, true);
  if (connect(link->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
    link_closed(link, 0);
}

/* Whether the client is still served, by the other connection. */
static bool is_served(struct client *client) {
  return older(client)->stage == LIVE || newest(client)->stage == LIVE;
}

static void lost(struct link *link, double after_s) {
  struct client *client = link->client;
  bool was_newest = link == newest(client);
  link_shut(link);
  if (!is_served(client)) client->synchronised_s = 0;
  /* An older one that ends has a successor, which is there or due. */
  if (was_newest) client_due(client, after_s);
}

void link_refused(struct link *link, int status, double retry_after_s) {
  struct client *client = link->client;
  counts.refused[status]++;
  if (status < 500 && status != 429) {
    client->given_up = true;
    link_shut(link);
    return;
  }
  /* Told when to come, it comes then, within a second, and its own waits grow no longer. */
  lost(link, retry_after_s > 0 ? retry_after_s + chance() : backoff(client));
}

void link_closed(struct link *link, int code) {
  struct client *client = link->client;
  bool was_open = link->stage >= ASKED;
  if (!was_open)
    counts.unreachable++;
  else if (code == 0)
    counts.cuts++;
  else
    counts.closes[code < MAX_CODE ? code : 0]++;
  if (code == 4400 || code == 4401 || code == 4403) {
    client->given_up = true;
    client->synchronised_s = 0;
    link_shut(link);
    return;
  }
  if (code == 4409) client->seq = -1;
  if (was_open && now_s() - link->opened_s >= HEALTHY_S) client->ceiling_s = FIRST_CEILING_S;
  lost(link, (code == 4429 ? LIMIT_S : 0) + backoff(client));
}

void client_stop(struct client *client, bool stopped) {
  if (client->stopped == stopped) return;
  client->stopped = stopped;
  for (int n = 0; n < 2; n++) {
    struct link *link = &client->links[n];
    if (link->fd < 0) continue;
    /* Removed rather than masked: a broken connection would be reported again and again. */
    if (stopped && epoll_ctl(poll_fd, EPOLL_CTL_DEL, link->fd, NULL) < 0) die("epoll_ctl");
    if (!stopped) watch(link, EPOLLIN, true);
    link->heard_s = now_s();
  }
}

void client_drop(struct client *client) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  for (int n = 0; n < 2; n++) {
    struct link *link = &client->links[n];
    if (link->fd < 0) continue;
    setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    lost(link, backoff(client));
  }
}

/* Once a second: those who have heard nothing for too long. */
static void listen_for_silence(struct client *client, double now) {
  for (int n = 0; n < 2; n++) {
    struct link *link = &client->links[n];
    if (link->fd < 0 || client->stopped) continue;
    bool opening = link->stage < ASKED;
    double limit_s = opening ? OPEN_S : SILENCE_HEARTBEATS * link->heartbeat_s;
    if (now - link->heard_s < limit_s) continue;
    if (opening)
      counts.timeouts++;
    else
      counts.silences++;
    lost(link, backoff(client));
  }
}

void clients_visit(double now) {
  static double listened_s;
  bool listening = now - listened_s >= 1;
  if (listening) listened_s = now;
  if (due_count == 0 && !listening) return;
  for (uint32_t n = 0; n < client_count; n++) {
    struct client *client = &clients[n];
    if (listening) listen_for_silence(client, now);
    if (client->due_s == 0 || client->due_s > now) continue;
    client->due_s = 0;
    due_count--;
    if (!client->given_up) dial(client, now);
  }
}
