/**
 * A page in a browser: @openfeature/web-sdk with @openfeature/ofrep-web-provider, as npm has them,
 * in jsdom. The page is of another origin than Halyard. jsdom has no fetch: the one here stands on
 * its XMLHttpRequest, which asks before it sends and hides headers as browsers do. Its EventSource
 * is npm's; what a browser asks of the answer is asked here.
 */
import { EventSource } from 'eventsource';
import { JSDOM } from 'jsdom';
import { serve, tell, detailsOf } from '../lines.mjs';

const PAGE = 'https://shop.example/';

const nodeFetch = globalThis.fetch;
const { window } = new JSDOM('', { url: PAGE, pretendToBeVisual: true });

class PageEventSource extends EventSource {
  constructor(url) {
    super(url, { fetch: fetchAcrossOrigins });
    for (const name of ['open', 'error', 'message']) {
      this.addEventListener(name, ({ data }) => tell(`stream-${name}`, { url, data }));
    }
  }
}

async function fetchAcrossOrigins(url, init) {
  const answer = await nodeFetch(url, {
    ...init,
    headers: { ...init.headers, Origin: new URL(PAGE).origin },
  });
  const allowed = answer.headers.get('access-control-allow-origin');
  if (allowed !== '*' && allowed !== new URL(PAGE).origin) {
    throw new TypeError(`${url} is closed to ${PAGE}`);
  }
  return answer;
}

for (const name of ['document', 'localStorage', 'XMLHttpRequest']) {
  globalThis[name] = window[name];
}
globalThis.EventSource = PageEventSource;
const { fetch: pageFetch, Headers, Request, Response } = await import('whatwg-fetch');
Object.assign(globalThis, { Headers, Request, Response, fetch: fetchAndTell });

async function fetchAndTell(request, init) {
  const answer = await pageFetch(request, init);
  const { pathname, search } = new URL(request.url);
  tell('request', {
    path: pathname,
    query: search,
    ifNoneMatch: request.headers.get('if-none-match'),
    status: answer.status,
    etag: answer.headers.get('etag'),
  });
  return answer;
}

const { OFREPWebProvider } = await import('@openfeature/ofrep-web-provider');
const { OpenFeature, ClientProviderEvents } = await import('@openfeature/web-sdk');

for (const [name, event] of Object.entries(ClientProviderEvents)) {
  OpenFeature.addHandler(event, ({ flagsChanged, message }) => tell(name, { flagsChanged, message }));
}

await serve({
  /** Open the page; ``headers`` are pairs. Polling is off, as it is unless asked for. */
  async open({ url, headers, context }) {
    await OpenFeature.setContext(context);
    await OpenFeature.setProviderAndWait(new OFREPWebProvider({ baseUrl: url, headers }));
  },
  async evaluate({ asked }) {
    const client = OpenFeature.getClient();
    return asked.map((each) => detailsOf(client, each));
  },
  async become({ context }) {
    await OpenFeature.setContext(context);
  },
  /** Come back to the page from another tab. */
  async look() {
    document.dispatchEvent(new window.Event('visibilitychange'));
  },
  /** Leave the page; what it stored stays. */
  async leave() {
    await OpenFeature.clearProviders();
  },
});
process.exit(0);
