// What a client of a server takes, without what a server is made of: half of the time that it would take to load.
export { connectRemote } from './client/connect-remote.js';
export { connectPool } from './pool/connect-pool.js';
export { readCredentials } from './client/credentials.js';
export { HttpClient, messageIn, type HttpReply } from './http-client/http-client.js';
export { urlEndpoint } from './http-client/url-endpoint.js';
