/* When which client had which change, in microseconds since the start of the process.
 *
 * One row per seq, of the last few thousand; a client that goes from one seq to another in one step
 * has had all between them. Whoever ordered the change says when it was accepted, by the same clock.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loadgen.h"

enum { ROWS = 2048, BUCKETS = 1200000 };
static const double BUCKET_S = 1e-4;

struct row {
  int64_t seq; /* -1: unused */
  double accepted_s;
  uint32_t *at_us; /* by client; 0 where it has not arrived */
};
static struct row rows[ROWS];
static bool watching;
static double begun_s;

void arrivals_begin(void) {
  if (begun_s == 0) begun_s = now_s() - 1;
  for (int i = 0; i < ROWS; i++) rows[i].seq = -1;
  watching = true;
}

static struct row *row_of(int64_t seq) {
  struct row *row = &rows[seq % ROWS];
  if (row->seq == seq) return row;
  if (row->at_us == NULL && (row->at_us = malloc(MAX_CLIENTS * sizeof *row->at_us)) == NULL)
    die("no memory for arrivals");
  memset(row->at_us, 0, MAX_CLIENTS * sizeof *row->at_us);
  row->seq = seq;
  row->accepted_s = 0;
  return row;
}

void arrivals_advance(const struct client *client, int64_t from, int64_t to) {
  if (!watching || from < 0 || to <= from) return;
  if (from < to - ROWS / 2) from = to - ROWS / 2;
  uint32_t at_us = (uint32_t)((now_s() - begun_s) * 1e6);
  for (int64_t seq = from + 1; seq <= to; seq++) {
    uint32_t *at = &row_of(seq)->at_us[client->number];
    if (*at == 0) *at = at_us;
  }
}

void arrivals_accepted(int64_t seq, double at_s) {
  if (watching) row_of(seq)->accepted_s = at_s;
}

static uint32_t buckets[BUCKETS];

static double at_share(uint64_t total, double share) {
  uint64_t wanted = (uint64_t)(share * (double)total), seen = 0;
  for (int i = 0; i < BUCKETS; i++)
    if ((seen += buckets[i]) > wanted) return (i + 1) * BUCKET_S * 1e3;
  return 0;
}

static int by_size(const void *one, const void *other) {
  double a = *(const double *)one, b = *(const double *)other;
  return (a > b) - (a < b);
}

/* Of all changes whose acceptance was told and all clients of the range: one line. */
void arrivals_report(uint32_t first, uint32_t count) {
  static double lasts_ms[ROWS];
  uint64_t total = 0, missing = 0, changes = 0;
  double longest_ms = 0;
  memset(buckets, 0, sizeof buckets);
  for (int i = 0; i < ROWS; i++) {
    const struct row *row = &rows[i];
    if (row->seq < 0 || row->accepted_s == 0) continue;
    double last_s = 0;
    for (uint32_t n = first; n < first + count && n < client_count; n++) {
      if (row->at_us[n] == 0) {
        missing++;
        continue;
      }
      /* A client may have it before the answer was read by whoever had ordered it. */
      double took_s = fmax(0, begun_s + row->at_us[n] * 1e-6 - row->accepted_s);
      last_s = fmax(last_s, took_s);
      uint64_t bucket = (uint64_t)(took_s / BUCKET_S);
      buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
      total++;
    }
    lasts_ms[changes++] = last_s * 1e3;
    longest_ms = fmax(longest_ms, last_s * 1e3);
  }
  qsort(lasts_ms, changes, sizeof *lasts_ms, by_size);
  double last_p50 = changes ? lasts_ms[changes / 2] : 0;
  double last_p99 = changes ? lasts_ms[(uint64_t)(0.99 * (double)changes)] : 0;
  printf("{\"changes\":%lu,\"arrived\":%lu,\"missing\":%lu,\"p50_ms\":%.1f,\"p90_ms\":%.1f,"
         "\"p99_ms\":%.1f,\"p999_ms\":%.1f,\"max_ms\":%.1f,\"last_p50_ms\":%.2f,"
         "\"last_p99_ms\":%.2f}\n",
         changes, total, missing, at_share(total, 0.5), at_share(total, 0.9),
         at_share(total, 0.99), at_share(total, 0.999), longest_ms, last_p50, last_p99);
}
