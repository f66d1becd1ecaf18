import { messageOf } from '@axle/core/internal';

/** By Node's code for what OpenSSL says. */
const words: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: 'the other side does not speak TLS',
  ERR_SSL_HTTP_REQUEST: 'the other side speaks HTTP without TLS',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the other side speaks no version of TLS from 1.2 up',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'the other side does not speak this version of TLS',
  ERR_SSL_NO_SHARED_CIPHER: 'the two sides have no cipher in common',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'the other side does not trust the CA of this certificate',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'the other side speaks another protocol over TLS',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'the other side speaks another protocol over TLS',
  ERR_OSSL_PEM_NO_START_LINE: 'there is no PEM in it',
  ERR_OSSL_UNSUPPORTED: 'the key is not PEM, or of a kind that is not known',
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'the key belongs to another certificate',
  ERR_OSSL_BAD_DECRYPT: 'the key has a password',
  ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED: 'the key has a password',
  ERR_SSL_EE_KEY_TOO_SMALL: 'the key of the certificate is too short: RSA takes 2048 bits',
  ERR_SSL_CA_MD_TOO_WEAK: 'the certificate is signed with a hash that is too weak',
  ECONNRESET: 'the other side hung up',
};

/** What went wrong with TLS, without the names and numbers of OpenSSL where it is known what they mean. */
export function tlsWords(error: unknown): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  const known = words[code];
  if (known !== undefined) return known;
  const said = messageOf(error);
  const [, reason] = /\berror:[0-9A-F]+:[^:]*:[^:]*:([^:\n]+)/.exec(said) ?? [];
  return reason ?? said;
}
