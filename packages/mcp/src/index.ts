/** A store and its tasks for clients of the Model Context Protocol. */

export { type HttpOptions, type HttpService, serveHttp } from './http.js';
export type { ServicesOptions } from './services.js';
export { serveStdio, type StdioOptions } from './stdio.js';
export { version } from './version.js';
