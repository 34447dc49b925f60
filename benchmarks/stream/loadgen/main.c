/* usage: loadgen PORT       obeys orders on its input (orders.c) until that ends
 *        loadgen hash FILE  the hash of a file's bytes
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include "loadgen.h"

enum { EVENTS = 1024, TURN_MS = 10 };

struct counts counts;
struct payload payloads[MAX_PAYLOADS];
uint32_t payload_count;
int poll_fd;
uint16_t port;

double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double chance(void) { return drand48(); }

void die(const char *what) {
  fprintf(stderr, "loadgen: %s: %s\n", what, errno ? strerror(errno) : "not understood");
  exit(1);
}

static int hash_file(const char *path) {
  static uint8_t buffer[1 << 16];
  FILE *file = fopen(path, "rb");
  if (file == NULL) die(path);
  struct xxh64 hash;
  xxh64_begin(&hash);
  for (size_t size; (size = fread(buffer, 1, sizeof buffer, file)) > 0;)
    xxh64_add(&hash, buffer, size);
  printf("%016lx\n", xxh64_end(&hash));
  return 0;
}

static void all_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) die("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "hash") == 0) return hash_file(argv[2]);
  if (argc != 2) return 2;
  port = (uint16_t)atoi(argv[1]);
  all_descriptors();
  srand48(1);
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  clients = calloc(MAX_CLIENTS, sizeof *clients);
  struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
  if (clients == NULL || poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &input) < 0)
    die("cannot begin");
  static struct epoll_event events[EVENTS];
  for (;;) {
    int ready = epoll_wait(poll_fd, events, EVENTS, TURN_MS);
    if (ready < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < ready; i++) {
      if (events[i].data.ptr == NULL)
        orders_read();
      else
        link_ready(events[i].data.ptr, events[i].events);
    }
    clients_visit(now_s());
  }
}
