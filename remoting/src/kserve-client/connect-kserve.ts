import { readCredentials } from '../client/credentials.js';
import { readDoorUrl } from './door-url.js';
import type { KserveClient, TensorForms } from './kserve-client.js';

/**
 * A client of the door at `url`, as whom the environment says (AXLE_TOKEN, AXLE_TLS_CA and so on). Connects with the
 * first request.
 *
 * @throws AxleError INVALID_ARGUMENT for what is no URL of a door; as `readCredentials`.
 */
export async function connectKserve(url: string, forms: TensorForms): Promise<KserveClient> {
  const { protocol, endpoint } = readDoorUrl(url);
  const { hello, tls } = await readCredentials({}, endpoint);
  const token = Buffer.from(hello.token).toString('utf8');
  if (protocol === 'grpc') {
    const { GrpcKserveClient } = await import('./grpc-kserve-client.js');
    return new GrpcKserveClient(endpoint, tls, token);
  }
  const { RestKserveClient } = await import('./rest-kserve-client.js');
  return new RestKserveClient(endpoint, tls, token, forms);
}
