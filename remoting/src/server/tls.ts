import { constants, X509Certificate } from 'node:crypto';
import { createSecureContext, type TlsOptions, type TLSSocket } from 'node:tls';

import { AxleError } from '@axle/core/internal';

import { alpnProtocol } from '../alpn.js';
import { tlsWords } from '../tls-words.js';
import { certificateTenant } from '../trust/certificate-tenant.js';
import type { PeerCertificate } from '../trust/authenticator.js';

/** Of a server; all PEM. */
export interface TlsMaterial {
  /** Its certificate, and those between that and the root. */
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Who signs the certificates of tenants; undefined: clients are not asked for one. */
  readonly clientCa: Buffer | undefined;
  /** Which of those it has revoked; undefined: none. */
  readonly crl?: Buffer | undefined;
}

/**
 * @throws AxleError INVALID_ARGUMENT for material with which no connection could be made, FAILED_PRECONDITION for a
 * certificate that has expired.
 */
export function checkTlsMaterial(material: TlsMaterial, now: number): void {
  try {
    createSecureContext(tlsServerOptions(material));
    if (material.clientCa !== undefined) new X509Certificate(material.clientCa);
  } catch (error) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the certificate, its key, the CA of clients or its revocation list cannot be used (${tlsWords(error)}); give PEM files, the key ` +
        'without a password and of that certificate',
      { cause: error },
    );
  }
  const { validTo } = new X509Certificate(material.certificate);
  if (Date.parse(validTo) > now) return;
  throw new AxleError(
    'FAILED_PRECONDITION',
    `the certificate has expired on ${validTo}; no client would trust it: renew it`,
  );
}

/** @param protocols that are spoken (RFC 7301) */
export function tlsServerOptions(
  { certificate, key, clientCa, crl }: TlsMaterial,
  protocols: readonly string[] = [alpnProtocol],
): TlsOptions {
  return {
    cert: certificate,
    key,
    ca: clientCa,
    crl,
    minVersion: 'TLSv1.2',
    ALPNProtocols: [...protocols],
    requestCert: clientCa !== undefined,
    // A client without a certificate may have a token, and one whose certificate is not good is told so by GOAWAY, where
    // a TLS alert would reach it as a broken connection. The authenticator refuses both.
    rejectUnauthorized: false,
    // A resumed session would bring back what an old CA had said of its client.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** What the client of a finished handshake has shown; undefined: no certificate. */
export function peerCertificateOf(socket: TLSSocket): PeerCertificate | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  return {
    tenant: certificateTenant(certificate),
    problem: socket.authorized ? undefined : String(socket.authorizationError),
    validUntil: Date.parse(certificate.validTo),
  };
}
