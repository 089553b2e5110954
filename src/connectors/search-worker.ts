/** The gateway's search thread, with the protocols that hoop speaks. */
import { serveSearches } from '../gateway/search/serve-searches.ts';
import { CONNECTORS } from './registry.ts';

serveSearches(CONNECTORS);
