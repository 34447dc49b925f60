/* Many readers of one port, in one process that costs little: epoll, read, count.
 *
 * usage: receivers PORT CONNECTIONS [KEY]
 * With a KEY each connection upgrades to /stream/v1 and says hello; without, it only reads.
 * Says "ready" when all are connected (and upgraded), then obeys lines on its input:
 *   count BYTES   say "done" when so many bytes have arrived since; those before do not count
 * Ends when its input ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char hello[] = "{\"type\":\"hello\",\"protocol\":1}";
static char buffer[1 << 16];

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int dial(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) die("socket");
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
  return fd;
}

static void send_all(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t sent = write(fd, data, size);
    if (sent < 0) die("write");
    data += sent;
    size -= (size_t)sent;
  }
}

static void upgrade(int fd, const char *key) {
  char request[1024];
  int size = snprintf(request, sizeof request,
                      "GET /stream/v1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: halyard.v1\r\n"
                      "Authorization: Bearer %s\r\n\r\n",
                      key);
  send_all(fd, request, (size_t)size);
  size_t have = 0;
  while (have < sizeof buffer - 1) {
    ssize_t got = read(fd, buffer + have, 1); /* not a byte of what follows */
    if (got <= 0) die("no answer to the upgrade");
    have += (size_t)got;
    if (have >= 4 && memcmp(buffer + have - 4, "\r\n\r\n", 4) == 0) break;
  }
  if (memcmp(buffer, "HTTP/1.1 101", 12) != 0) {
    fprintf(stderr, "refused: %.*s\n", (int)have, buffer);
    exit(1);
  }
  /* One masked text frame, under the mask of zeroes. */
  char frame[6 + sizeof hello - 1] = {(char)0x81, (char)(0x80 | (sizeof hello - 1))};
  memcpy(frame + 6, hello, sizeof hello - 1);
  send_all(fd, frame, sizeof frame);
}

static uint64_t obey(void) {
  char line[128];
  ssize_t size = read(0, line, sizeof line - 1);
  if (size <= 0) exit(0);
  line[size] = 0;
  unsigned long long bytes = 0;
  if (sscanf(line, "count %llu", &bytes) != 1) {
    fprintf(stderr, "not understood: %s\n", line);
    exit(1);
  }
  return bytes;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  int port = atoi(argv[1]), connections = atoi(argv[2]);
  int poll = epoll_create1(0);
  struct epoll_event input = {.events = EPOLLIN, .data.fd = 0};
  if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, 0, &input) < 0) die("epoll");
  for (int i = 0; i < connections; i++) {
    int fd = dial(port);
    if (argc > 3) upgrade(fd, argv[3]);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) die("fcntl");
    struct epoll_event readable = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &readable) < 0) die("epoll_ctl");
  }
  puts("ready");
  fflush(stdout);
  uint64_t wanted = 0, got = 0;
  struct epoll_event events[1024];
  for (;;) {
    int ready = epoll_wait(poll, events, 1024, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (fd == 0) {
        wanted = obey();
        got = 0;
        continue;
      }
      ssize_t size = read(fd, buffer, sizeof buffer);
      if (size == 0 || (size < 0 && errno != EAGAIN)) {
        fprintf(stderr, "the server has closed a connection\n");
        exit(1);
      }
      if (size > 0) got += (uint64_t)size;
    }
    if (wanted > 0 && got >= wanted) {
      puts("done");
      fflush(stdout);
      wanted = 0;
    }
  }
}
