/* A crowd of SDKs in one process. Which file does what:
 *   main.c      the loop: sockets, time, and the orders on the input
 *   orders.c    each order, and its answer as one line of JSON
 *   clients.c   who connects when: dialing, backoff, what follows from a close
 *   links.c     bytes of one connection: upgrade, frames, pongs
 *   session.c   messages, and what a client has after each
 *   arrivals.c  when which client had which change
 *   xxh64.c     the hash of a snapshot's bytes
 * One thread. Nothing is freed while a client lives; all tables have a bound.
 */
#ifndef LOADGEN_H
#define LOADGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  MAX_CLIENTS = 16384,
  HEAD = 1024, /* bytes of a message, or of the answer to the upgrade, that are looked at */
  MAX_PAYLOADS = 64,
  MAX_CODE = 5000,
};

struct xxh64 {
  uint64_t lanes[4], total;
  uint8_t rest[32];
};
void xxh64_begin(struct xxh64 *hash);
void xxh64_add(struct xxh64 *hash, const uint8_t *data, size_t size);
uint64_t xxh64_end(const struct xxh64 *hash);

/* How a group of clients connects. */
struct plan {
  char key[256];
  char context[512]; /* of a browser, with # for the client's number; empty for a server's SDK */
  bool deflate;
  int receive_buffer; /* SO_RCVBUF; 0 leaves it to the kernel */
};

enum intent { NO_INTENT, INTENT_NONE, INTENT_CHANGES, INTENT_FULL, INTENT_VALUES, INTENTS };
enum kind { OTHER, WELCOME, SNAPSHOT, CHANGES, VALUES, HEARTBEAT, GOODBYE, ERROR, KINDS };

/* What the head of a message says. */
struct said {
  enum kind kind;
  enum intent intent;
  char epoch[24];
  int64_t seq, from, to, changed; /* -1 where it is not said */
  double number;                  /* heartbeatSeconds, or reconnectAfterMs */
};

enum stage { CLOSED, DIALING, UPGRADING, ASKED, LIVE };

/* One connection. */
struct link {
  struct client *client;
  int fd;
  enum stage stage;
  bool leaving;   /* the server has said goodbye here */
  bool asked;     /* a hello is under way, no welcome yet */
  double heard_s; /* when a byte arrived last, or when dialing began */
  double opened_s;
  double heartbeat_s;
  /* The frame that is being read. */
  uint8_t frame[10];
  uint32_t frame_size; /* bytes of its header so far */
  bool in_payload;
  uint64_t left;
  uint8_t control[125];
  uint32_t control_size;
  /* The message that is being read; a frame or several. */
  bool compressed, is_read, is_hashed;
  uint32_t head_size;
  uint64_t message_size;
  struct said said;
  struct xxh64 hash;
  uint8_t head[HEAD + 1];
};

/* One SDK: what it has, and one connection; two from a goodbye until the newer has caught up. */
struct client {
  const struct plan *plan;
  uint32_t number;
  int newest; /* index of the link that was opened last */
  char epoch[24];
  int64_t seq; /* -1: has nothing yet */
  double due_s; /* when to dial; 0: nothing is due */
  double ceiling_s;
  double synchronised_s; /* since when it has lacked nothing; 0 while it may */
  bool stopped;   /* reads nothing */
  bool given_up;  /* was told never to come back */
  /* Since the last mark: changes or values that came, snapshots, and how many seqs the last of
   * the changes went over in one step. */
  uint32_t messages, snapshots;
  int64_t last_span;
  struct link links[2];
};

struct payload {
  uint64_t hash, size;
  int64_t seq;
  bool compressed;
  uint32_t count;
};

/* Since the last mark. */
struct counts {
  uint64_t bytes, messages[KINDS], intents[INTENTS], handshakes;
  uint32_t closes[MAX_CODE], refused[600];
  uint32_t cuts, unreachable, timeouts, silences, gaps, repeats;
  double first_dial_s, last_synchronised_s;
};

extern struct client *clients;
extern uint32_t client_count, due_count;
extern struct counts counts;
extern struct payload payloads[MAX_PAYLOADS];
extern uint32_t payload_count;
extern int poll_fd;
extern uint16_t port;

double now_s(void);
double chance(void);
void die(const char *what);

/* clients.c */
void clients_add(const struct plan *plan, uint32_t count, double over_s);
void client_due(struct client *client, double after_s);
void clients_visit(double now);
void client_stop(struct client *client, bool stopped);
void client_drop(struct client *client);
void client_beside(struct client *client, double after_s);
void link_refused(struct link *link, int status, double retry_after_s);
void link_closed(struct link *link, int code); /* 0: it just broke */
struct link *newest(struct client *client);
void watch(struct link *link, uint32_t events, bool added);

/* links.c */
void link_ready(struct link *link, uint32_t events);
void link_send(struct link *link, uint8_t opcode, const void *payload, size_t size);
void link_close(struct link *link, int code);
void link_shut(struct link *link);

/* session.c */
void said_read(struct said *said, const char *text);
void session_hello(struct link *link);
void session_heard(struct link *link);

/* arrivals.c */
void arrivals_begin(void);
void arrivals_advance(const struct client *client, int64_t from, int64_t to);
void arrivals_accepted(int64_t seq, double at_s);
void arrivals_report(uint32_t first, uint32_t count);

/* orders.c */
void orders_read(void);

#endif
