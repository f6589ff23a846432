//! What can be found in the stage `tls`.

use crate::doctor::row::rows;

rows! { Tls:
    NOT_IN_CA "RDK-TLS-01" Problem "`caCert` does not hold the authority that signed the broker's certificate"
    why "Whoever is not known to have a right to the name may be anybody."
    found "OpenSSL finds no way from the broker's certificate to a certificate in `caCert`."
    fix "Put the certificate of the authority that the finding names in `caCert`, behind what is there or instead of it.";
    NOT_IN_SYSTEM "RDK-TLS-02" Problem "This system does not know the authority that signed the broker's certificate"
    why "Without `caCert` the system's authorities decide, and private ones are not among them."
    found "OpenSSL finds no way from the broker's certificate to one of the system's authorities."
    fix "Give the certificate of the authority that the finding names as `caCert`.";
    NO_INTERMEDIATE "RDK-TLS-03" Problem "The broker does not send the intermediate certificate"
    why "Between the broker's certificate and the authority that is trusted one link is missing. Browsers fetch it; Kafka clients do not."
    found "The broker sends its own certificate alone; that one says where its signer's is to be had, so it is an intermediate one, and the signer is not trusted itself."
    fix "Append the intermediate certificate to the broker's (`ssl.keystore.certificate.chain`; in Redpanda the file `cert_file`). Or add it to `caCert`, with the root.";
    NO_ROOT "RDK-TLS-04" Problem "An intermediate authority is trusted, but not its root"
    why "OpenSSL trusts a chain only if it ends at a root that is trusted. Programs in Go, Dapr's built-in component among them, are content with an intermediate."
    found "OpenSSL knows the certificate's signer, but finds no certificate of who signed that one."
    fix "Put the root's certificate in `caCert` too.";
    OTHER_NAME "RDK-TLS-05" Problem "The broker's certificate is for another name"
    why "Whoever shows a certificate for another name may be another."
    found "The host in `brokers`, or where the broker is advertised, is none of the names in its certificate. A dot at the host's end does not count."
    fix "Write a name that the certificate has in `brokers` or advertise the broker by one; or give the broker a certificate with the name that is used.";
    EXPIRED "RDK-TLS-06" Problem "A certificate of the broker has expired"
    why "A certificate whose time is over proves nothing."
    found "The end of the certificate's time has passed, by this system's clock."
    fix "Give the broker a new certificate. If it is valid by the date, this system's clock is wrong.";
    NOT_YET_VALID "RDK-TLS-07" Problem "A certificate of the broker is not valid yet"
    why "A certificate whose time has not begun proves nothing."
    found "The beginning of the certificate's time has not come, by this system's clock."
    fix "Set the clocks of both systems right. If they are, wait, or give the broker a certificate that is valid now.";
    UNFIT "RDK-TLS-08" Problem "The broker's certificate is not accepted"
    why "What OpenSSL does not accept no client built with it does: this component neither."
    found "OpenSSL objects to the certificate for a reason that no other code is for: the finding has its words."
    fix "Give the broker a certificate without what is objected to.";
    CLIENT_REQUIRED "RDK-TLS-09" Problem "The broker requires a client's certificate"
    why "With mutual TLS nobody gets in without one."
    found "The broker ends the handshake, or in TLS 1.3 the first request, by an alert about a certificate, and these settings have none."
    fix "Write `authType: mtls`, `clientCert` and `clientKey`.";
    CLIENT_REFUSED "RDK-TLS-10" Problem "The broker does not accept the client's certificate"
    why "With mutual TLS nobody gets in without a certificate that the broker trusts."
    found "The broker ends the handshake, or in TLS 1.3 the first request, by an alert; the finding names it."
    fix "Give a `clientCert` with its `clientKey` that is valid and signed by an authority in the broker's trust store (`ssl.truststore`; in Redpanda `truststore_file`).";
    NOTHING_IN_COMMON "RDK-TLS-11" Problem "Client and broker have no TLS version or cipher in common"
    why "Without one there is no handshake."
    found "The handshake ends before the broker shows a certificate, by an alert that says so."
    fix "Let the broker offer TLS 1.2 or 1.3 (`ssl.enabled.protocols`, `ssl.cipher.suites`; in Redpanda `tls_min_version`).";
    NO_AUTHORITIES "RDK-TLS-12" Problem "This system has no certificate authorities"
    why "Without `caCert` the system's authorities decide, and there are none, so every broker would be refused."
    found "Neither SSL_CERT_FILE nor SSL_CERT_DIR nor the usual places hold certificates that can be read."
    fix "Give the authority that signed the brokers' certificates as `caCert`, install ca-certificates, or set SSL_CERT_FILE to a file with authorities.";
    HANDSHAKE "RDK-TLS-13" Problem "The TLS handshake fails"
    why "Without it there is no connection."
    found "The handshake ends for a reason that no other code is for: the finding has its words."
    fix "Look in the broker's log for what it says of this connection.";
    ENDS_SOON "RDK-TLS-14" Warning "The broker's certificate ends soon"
    why "When its time is over no client connects any more."
    found "The broker's certificate is valid for less than 14 days from now, by this system's clock."
    fix "Renew the broker's certificate.";
    SKIP_VERIFY "RDK-TLS-15" Warning "`skipVerify` is on"
    why "Any certificate will do: whoever stands between can read and change everything, passwords too."
    found "The setting is `true`."
    fix "Remove `skipVerify`, and give the authority that signed the brokers' certificates as `caCert`.";
}
