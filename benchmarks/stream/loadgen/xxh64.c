/* XXH64, after the specification of xxHash (seed 0).
 *
 * Ten thousand payloads are compared with one. What could go wrong is bytes lost, repeated or mixed
 * up on the way, not a forger's work; so a hash at the memory's speed serves better than SHA-256,
 * which would take more of the processor than all else here. The other side has its own
 * implementation, and compares.
 */
#include <string.h>

#include "loadgen.h"

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu,
                      P3 = 0x165667B19E3779F9u, P4 = 0x85EBCA77C2B2AE63u,
                      P5 = 0x27D4EB2F165667C5u;

static uint64_t turned(uint64_t value, int by) { return value << by | value >> (64 - by); }

static uint64_t word(const uint8_t *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value); /* little-endian machines only, as all that run this are */
  return value;
}

static uint64_t rounded(uint64_t lane, uint64_t input) {
  return turned(lane + input * P2, 31) * P1;
}

static uint64_t merged(uint64_t sum, uint64_t lane) {
  return (sum ^ rounded(0, lane)) * P1 + P4;
}

static void stripe(struct xxh64 *hash, const uint8_t *at) {
  for (int i = 0; i < 4; i++) hash->lanes[i] = rounded(hash->lanes[i], word(at + 8 * i));
}

void xxh64_begin(struct xxh64 *hash) {
  hash->lanes[0] = P1 + P2;
  hash->lanes[1] = P2;
  hash->lanes[2] = 0;
  hash->lanes[3] = 0 - P1;
  hash->total = 0;
}

void xxh64_add(struct xxh64 *hash, const uint8_t *data, size_t size) {
  size_t held = hash->total % 32;
  hash->total += size;
  if (held > 0) {
    size_t taken = size < 32 - held ? size : 32 - held;
    memcpy(hash->rest + held, data, taken);
    data += taken;
    size -= taken;
    if (held + taken < 32) return;
    stripe(hash, hash->rest);
  }
  for (; size >= 32; data += 32, size -= 32) stripe(hash, data);
  memcpy(hash->rest, data, size);
}

uint64_t xxh64_end(const struct xxh64 *hash) {
  const uint64_t *lanes = hash->lanes;
  uint64_t sum = P5;
  if (hash->total >= 32) {
    sum = turned(lanes[0], 1) + turned(lanes[1], 7) + turned(lanes[2], 12) + turned(lanes[3], 18);
    for (int i = 0; i < 4; i++) sum = merged(sum, lanes[i]);
  }
  sum += hash->total;
  const uint8_t *at = hash->rest, *end = at + hash->total % 32;
  for (; at + 8 <= end; at += 8) sum = turned(sum ^ rounded(0, word(at)), 27) * P1 + P4;
  if (at + 4 <= end) {
    uint32_t half;
    memcpy(&half, at, sizeof half);
    sum = turned(sum ^ half * P1, 23) * P2 + P3;
    at += 4;
  }
  for (; at < end; at++) sum = turned(sum ^ *at * P5, 11) * P1;
  sum = (sum ^ sum >> 33) * P2;
  sum = (sum ^ sum >> 29) * P3;
  return sum ^ sum >> 32;
}
