/**
 * A conversation in lines of JSON: on standard input {"do": name, …}, on standard output one
 * {"answer": …} or {"failure": text} for each, in order, and {"event": name, …} at any time.
 */
import { createInterface } from 'node:readline';

/** Say what happened, unasked. */
export function tell(event, more = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
}

/** Do what is asked for, one after the other, until nobody asks any more. */
export async function serve(handlers) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: name, ...parameters } = JSON.parse(line);
    let reply;
    try {
      reply = { answer: (await handlers[name](parameters)) ?? null };
    } catch (error) {
      reply = { failure: String(error?.stack ?? error) };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

const RESOLVERS = {
  boolean: 'getBooleanDetails',
  string: 'getStringDetails',
  number: 'getNumberDetails',
  object: 'getObjectDetails',
};

/** What an OpenFeature client answers for {flag, default}: the default's type is the one asked for. */
export function detailsOf(client, { flag, default: fallback }, ...more) {
  return client[RESOLVERS[typeof fallback]](flag, fallback, ...more);
}
