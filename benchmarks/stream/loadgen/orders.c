/* What the input orders, one line each, answered by one line of JSON. Times are of CLOCK_MONOTONIC.
 *
 *   key KEY | context JSON (# is the client's number; nothing: none) | deflate 0|1 | buffer BYTES
 *                        how those connect who are added next
 *   connect COUNT MS     add clients that dial within so many milliseconds: 0, all at once
 *   status               what they have; counts are since the last mark
 *   mark                 count anew
 *   watch                forget all arrivals, and keep those from now on
 *   accepted SEQ AT      when the change of that seq was accepted
 *   latencies FIRST N    from accepted to arrived, of those N clients
 *   tally FIRST N        messages since the last mark, of those N clients
 *   stop|resume FIRST N  let them read nothing; let them read again
 *   drop FIRST N         reset their connections, and let them come back
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loadgen.h"

enum { LINE = 2048 };

static struct plan next_plan;

static void counts_of(const char *name, const uint32_t *table, int size) {
  printf(",\"%s\":{", name);
  const char *between = "";
  for (int code = 0; code < size; code++)
    if (table[code] > 0) {
      printf("%s\"%d\":%u", between, code, table[code]);
      between = ",";
    }
  printf("}");
}

static void say_payloads(void) {
  printf(",\"payloads\":[");
  for (uint32_t i = 0; i < payload_count; i++) {
    const struct payload *payload = &payloads[i];
    printf("%s{\"hash\":\"%016lx\",\"size\":%lu,\"seq\":%ld,\"deflated\":%s,\"count\":%u}",
           i ? "," : "", payload->hash, payload->size, payload->seq,
           payload->compressed ? "true" : "false", payload->count);
  }
  printf("]");
}

static void status(void) {
  uint32_t synchronised = 0, open = 0, given_up = 0;
  int64_t lowest = INT64_MAX, highest = -1;
  for (uint32_t n = 0; n < client_count; n++) {
    const struct client *client = &clients[n];
    synchronised += client->synchronised_s > 0;
    given_up += client->given_up;
    for (int i = 0; i < 2; i++) open += client->links[i].fd >= 0;
    if (client->seq < lowest) lowest = client->seq;
    if (client->seq > highest) highest = client->seq;
  }
  const uint64_t *messages = counts.messages, *intents = counts.intents;
  printf("{\"clients\":%u,\"synchronised\":%u,\"open\":%u,\"due\":%u,\"given_up\":%u,"
         "\"first_dial_s\":%.6f,\"last_synchronised_s\":%.6f,\"lowest_seq\":%ld,"
         "\"highest_seq\":%ld,\"bytes\":%lu,\"handshakes\":%lu",
         client_count, synchronised, open, due_count, given_up, counts.first_dial_s,
         counts.last_synchronised_s, client_count ? lowest : -1, highest, counts.bytes,
         counts.handshakes);
  printf(",\"intents\":{\"none\":%lu,\"changes\":%lu,\"full\":%lu,\"values\":%lu}",
         intents[INTENT_NONE], intents[INTENT_CHANGES], intents[INTENT_FULL],
         intents[INTENT_VALUES]);
  printf(",\"messages\":{\"welcome\":%lu,\"snapshot\":%lu,\"changes\":%lu,\"values\":%lu,"
         "\"heartbeat\":%lu,\"goodbye\":%lu,\"error\":%lu,\"other\":%lu}",
         messages[WELCOME], messages[SNAPSHOT], messages[CHANGES], messages[VALUES],
         messages[HEARTBEAT], messages[GOODBYE], messages[ERROR], messages[OTHER]);
  printf(",\"cuts\":%u,\"unreachable\":%u,\"timeouts\":%u,\"silences\":%u,\"gaps\":%u,"
         "\"repeats\":%u",
         counts.cuts, counts.unreachable, counts.timeouts, counts.silences, counts.gaps,
         counts.repeats);
  counts_of("closes", counts.closes, MAX_CODE);
  counts_of("refused", counts.refused, 600);
  say_payloads();
  printf("}\n");
}

static void tally(uint32_t first, uint32_t count) {
  uint64_t messages = 0, snapshots = 0;
  uint32_t least = UINT32_MAX, most = 0;
  int64_t least_span = INT64_MAX;
  for (uint32_t n = first; n < first + count && n < client_count; n++) {
    const struct client *client = &clients[n];
    messages += client->messages;
    snapshots += client->snapshots;
    if (client->messages < least) least = client->messages;
    if (client->messages > most) most = client->messages;
    if (client->last_span < least_span) least_span = client->last_span;
  }
  printf("{\"messages\":%lu,\"least\":%u,\"most\":%u,\"least_last_span\":%ld,"
         "\"snapshots\":%lu}\n",
         messages, least, most, least_span, snapshots);
}

static void mark(void) {
  memset(&counts, 0, sizeof counts);
  payload_count = 0;
  for (uint32_t n = 0; n < client_count; n++)
    clients[n].messages = clients[n].snapshots = 0, clients[n].last_span = 0;
}

static void connect_more(uint32_t count, uint32_t within_ms) {
  struct plan *plan = malloc(sizeof *plan); /* lives as long as its clients */
  if (plan == NULL || count > MAX_CLIENTS - client_count) die("too many clients");
  *plan = next_plan;
  clients_add(plan, count, within_ms / 1e3);
}

/* An order about a range of clients. */
static bool on_range(const char *word, uint32_t first, uint32_t count) {
  uint32_t end = first + count < client_count ? first + count : client_count;
  for (uint32_t n = first; n < end; n++) {
    if (strcmp(word, "stop") == 0)
      client_stop(&clients[n], true);
    else if (strcmp(word, "resume") == 0)
      client_stop(&clients[n], false);
    else if (strcmp(word, "drop") == 0)
      client_drop(&clients[n]);
    else
      return false;
  }
  return true;
}

static bool is(const char *word, const char *other) { return strcmp(word, other) == 0; }

static void copy(char *into, size_t size, const char *text) {
  if (strlen(text) >= size) die("an argument too long");
  strcpy(into, text);
}

static void obey(const char *line) {
  char word[16] = "";
  int used = 0;
  sscanf(line, "%15s %n", word, &used);
  const char *rest = line + used;
  uint32_t first = 0, second = 0;
  sscanf(rest, "%u %u", &first, &second);
  if (is(word, "status")) {
    status();
  } else if (is(word, "latencies")) {
    arrivals_report(first, second);
  } else if (is(word, "tally")) {
    tally(first, second);
  } else {
    if (is(word, "key")) {
      copy(next_plan.key, sizeof next_plan.key, rest);
    } else if (is(word, "context")) {
      copy(next_plan.context, sizeof next_plan.context, rest);
    } else if (is(word, "deflate")) {
      next_plan.deflate = first;
    } else if (is(word, "buffer")) {
      next_plan.receive_buffer = (int)first;
    } else if (is(word, "connect")) {
      connect_more(first, second);
    } else if (is(word, "mark")) {
      mark();
    } else if (is(word, "watch")) {
      arrivals_begin();
    } else if (is(word, "accepted")) {
      long long seq;
      double at_s;
      if (sscanf(rest, "%lld %lf", &seq, &at_s) == 2) arrivals_accepted(seq, at_s);
    } else if (!on_range(word, first, second)) {
      die(word);
    }
    printf("{}\n");
  }
  fflush(stdout);
}

void orders_read(void) {
  static char line[LINE];
  static size_t held;
  ssize_t size = read(0, line + held, sizeof line - 1 - held);
  if (size <= 0) exit(0);
  held += (size_t)size;
  line[held] = 0;
  char *begin = line, *end;
  while ((end = strchr(begin, '\n')) != NULL) {
    *end = 0;
    obey(begin);
    begin = end + 1;
  }
  held -= (size_t)(begin - line);
  memmove(line, begin, held);
  if (held == sizeof line - 1) die("an order too long");
}
