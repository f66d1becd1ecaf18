/** What both sides say that they speak under TLS (RFC 7301). */
export const alpnProtocol = 'axle/1';
