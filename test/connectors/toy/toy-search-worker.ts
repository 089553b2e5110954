/** The search thread of a gateway that knows no protocol but the toy's. */
import { serveSearches } from '../../../src/gateway/search/serve-searches.ts';
import { TOY_CLIENT } from './toy-client.ts';

serveSearches([TOY_CLIENT]);
