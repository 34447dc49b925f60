/* Messages, by their heads alone, and what a client has after each.
 *
 * The rules are those of the contract of /stream/v1: a delta that does not connect is a gap, and is
 * answered by another hello; what is known already changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loadgen.h"

static const char *after(const char *text, const char *name) {
  const char *found = strstr(text, name);
  return found ? found + strlen(name) : NULL;
}

static int64_t whole(const char *text, const char *name) {
  const char *at = after(text, name);
  return at ? strtoll(at, NULL, 10) : -1;
}

static bool begins(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}

static void word_of(char *into, size_t size, const char *text, const char *name) {
  const char *at = after(text, name);
  size_t length = at ? strcspn(at, "\"") : 0;
  if (length >= size) length = size - 1;
  memcpy(into, at ? at : "", length);
  into[length] = 0;
}

static enum kind kind_of(const char *text) {
  static const char *kinds[KINDS] = {"",       "welcome",   "snapshot", "changes",
                                     "values", "heartbeat", "goodbye",  "error"};
  for (int kind = WELCOME; kind < KINDS; kind++)
    if (begins(text, kinds[kind]) && text[strlen(kinds[kind])] == '"') return kind;
  return OTHER;
}

static enum intent intent_of(const char *text) {
  static const char *intents[INTENTS] = {"", "none", "changes", "full", "values"};
  const char *at = after(text, "\"intent\":\"");
  for (int intent = INTENT_NONE; at && intent < INTENTS; intent++)
    if (begins(at, intents[intent])) return intent;
  return NO_INTENT;
}

/* The fields that are looked for stand before any document, so the first find is the right one. */
void said_read(struct said *said, const char *text) {
  *said = (struct said){.seq = -1, .from = -1, .to = -1, .changed = -1};
  if (!begins(text, "{\"type\":\"")) return;
  said->kind = kind_of(text + strlen("{\"type\":\""));
  switch (said->kind) {
    case WELCOME: {
      said->intent = intent_of(text);
      const char *at = after(text, "\"heartbeatSeconds\":");
      said->number = at ? strtod(at, NULL) : 0;
      break;
    }
    case CHANGES:
      said->from = whole(text, "\"from\":");
      said->to = whole(text, "\"to\":");
      break;
    case HEARTBEAT:
      said->changed = whole(text, "\"changed\":");
      break;
    case GOODBYE:
      said->number = (double)whole(text, "\"reconnectAfterMs\":");
      return;
    default:
      break;
  }
  if (said->kind != CHANGES) said->seq = whole(text, "\"seq\":");
  word_of(said->epoch, sizeof said->epoch, text, "\"epoch\":\"");
}

void session_hello(struct link *link) {
  const struct client *client = link->client;
  const struct plan *plan = client->plan;
  char text[1024];
  size_t size = (size_t)snprintf(text, sizeof text,
                                 "{\"type\":\"hello\",\"sdk\":{\"name\":\"loadgen\","
                                 "\"version\":\"1\"},\"protocol\":1");
  if (plan->context[0] != 0) {
    size_t before = strcspn(plan->context, "#");
    const char *rest = plan->context + before + (plan->context[before] != 0);
    size += (size_t)snprintf(text + size, sizeof text - size, ",\"context\":%.*s%u%s", (int)before,
                             plan->context, client->number, rest);
  } else if (client->seq >= 0) {
    size += (size_t)snprintf(text + size, sizeof text - size,
                             ",\"resume\":{\"epoch\":\"%s\",\"seq\":%lld}", client->epoch,
                             (long long)client->seq);
  }
  size += (size_t)snprintf(text + size, sizeof text - size, "}");
  link->asked = true;
  link_send(link, 1, text, size);
}

/* The link has delivered everything that its client has, or more. */
static void vouched(struct link *link, const char *epoch, int64_t seq) {
  struct client *client = link->client;
  if (strcmp(epoch, client->epoch) != 0 || seq < client->seq) return;
  link->stage = LIVE;
  if (client->synchronised_s == 0)
    client->synchronised_s = counts.last_synchronised_s = now_s();
  struct link *other = &client->links[link == &client->links[0]];
  if (link == newest(client) && other->stage != CLOSED) link_close(other, 1000);
}

static void gap(struct link *link) {
  counts.gaps++;
  if (!link->asked) session_hello(link);
}

static void adopt(struct client *client, const char *epoch, int64_t seq) {
  if (strcmp(epoch, client->epoch) == 0) arrivals_advance(client, client->seq, seq);
  memcpy(client->epoch, epoch, sizeof client->epoch);
  client->seq = seq;
}

static void changes(struct link *link, const struct said *said) {
  struct client *client = link->client;
  if (client->seq < 0 || strcmp(said->epoch, client->epoch) != 0 || client->seq < said->from) {
    gap(link);
    return;
  }
  client->messages++;
  client->last_span = said->to - said->from;
  if (client->seq < said->to)
    adopt(client, said->epoch, said->to);
  else
    counts.repeats++;
  vouched(link, said->epoch, said->to);
}

static void remember(const struct link *link) {
  uint64_t hash = xxh64_end(&link->hash);
  for (uint32_t i = 0; i < payload_count; i++)
    if (payloads[i].hash == hash && payloads[i].size == link->message_size) {
      payloads[i].count++;
      return;
    }
  if (payload_count < MAX_PAYLOADS)
    payloads[payload_count++] =
        (struct payload){hash, link->message_size, link->said.seq, link->compressed, 1};
}

static void snapshot(struct link *link, const struct said *said) {
  struct client *client = link->client;
  client->snapshots++;
  remember(link);
  if (strcmp(said->epoch, client->epoch) == 0 && said->seq < client->seq) return;
  adopt(client, said->epoch, said->seq);
  vouched(link, said->epoch, said->seq);
}

static void heartbeat(struct link *link, const struct said *said) {
  struct client *client = link->client;
  /* A browser is not told of what does not concern it: `changed` may be ahead of it for good. */
  bool missing = client->plan->context[0] == 0 && client->seq < said->changed;
  if (client->seq < 0 || strcmp(said->epoch, client->epoch) != 0 || missing) {
    gap(link);
    return;
  }
  if (said->seq > client->seq) client->seq = said->seq;
  vouched(link, said->epoch, said->seq);
}

void session_heard(struct link *link) {
  struct client *client = link->client;
  const struct said *said = &link->said;
  counts.messages[said->kind]++;
  switch (said->kind) {
    case WELCOME:
      link->asked = false;
      counts.intents[said->intent]++;
      if (said->number > 0) link->heartbeat_s = said->number;
      if (said->intent == INTENT_NONE) vouched(link, said->epoch, said->seq);
      break;
    case CHANGES:
      changes(link, said);
      break;
    case SNAPSHOT:
      snapshot(link, said);
      break;
    case VALUES:
      if (strcmp(said->epoch, client->epoch) == 0 && said->seq < client->seq) break;
      client->messages++;
      adopt(client, said->epoch, said->seq);
      vouched(link, said->epoch, said->seq);
      break;
    case HEARTBEAT:
      heartbeat(link, said);
      break;
    case GOODBYE:
      if (link == newest(client) && !link->leaving) {
        link->leaving = true;
        client_beside(client, said->number > 0 ? said->number / 1000 : 0);
      }
      break;
    default:
      break;
  }
}
