/** A service: @openfeature/server-sdk with @openfeature/ofrep-provider, as npm has them. */
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';
import { detailsOf, serve } from '../lines.mjs';

await serve({
  /** Use the flags behind this address; ``headers`` are pairs. */
  async start({ url, headers }) {
    await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: url, headers }));
  },
  async evaluate({ context, asked }) {
    const client = OpenFeature.getClient();
    return Promise.all(asked.map((each) => detailsOf(client, each, context)));
  },
});
