//! What can be found in the stage `sasl`.

use crate::doctor::row::rows;

rows! { Sasl:
    REQUIRED "RDK-LGN-01" Problem "The listener requires a login"
    why "The broker closes the connection at the first request of a client that has not logged in; \
         Dapr's built-in component calls that EOF."
    found "The broker tells which versions it serves, closes the connection at the first request \
           after that, and offers mechanisms for a login when it is asked for them. The settings \
           have no login."
    fix "Set `authType`, and with password `saslMechanism` to one that is offered, `saslUsername` \
         and `saslPassword`; or write the address of a listener without a login in `brokers`.";
    MECHANISM "RDK-LGN-02" Problem "The listener does not offer this mechanism"
    why "Client and broker must log in by the same mechanism."
    found "The broker's answer to SaslHandshake refuses the mechanism, and lists others."
    fix "Set `saslMechanism` to one that is offered, or another `authType`.";
    REFUSED "RDK-LGN-03" Problem "The broker refuses the user or the password"
    why "Nobody is let in without the right ones, and a user must be known to the mechanism that \
         is used: Kafka keeps a user's password for each of them."
    found "The broker answers SaslAuthenticate with an error."
    fix "Set `saslUsername` and `saslPassword` to what the broker knows.";
    NO_LOGIN "RDK-LGN-04" Problem "The listener takes no login"
    why "A client with a login gives up at a listener that has none."
    found "The broker's answer to SaslHandshake is that there is no login here, or it does not \
           serve SaslHandshake."
    fix "Set `authType` to none, or to certificate if the listener has TLS; or write the address \
         of the listener with the login in `brokers`.";
    NO_TOKEN "RDK-LGN-05" Problem "There is no token to log in with"
    why "With `authType` oidc, oidc_private_key_jwt and awsiam the login is a token, which is \
         fetched or signed before the broker is asked."
    found "The identity provider, or who knows the AWS keys, was asked for a token as the \
           component does."
    fix "Correct the setting that the cause names, such as `oidcTokenEndpoint` or \
         `oidcClientSecret`.";
    TOKEN_REFUSED "RDK-LGN-06" Problem "The broker refuses the token"
    why "The broker looks who signed a token, for whom it is, and how long it lasts."
    found "The broker answers SaslAuthenticate, which had a fresh token, with an error."
    fix "Write the endpoint of the provider whose tokens the broker trusts in \
         `oidcTokenEndpoint`, or ask for the scopes or the audience that it requires by \
         `oidcScopes`; for AWS, look at `awsRegion` and at what the identity may do.";
    BROKEN "RDK-LGN-07" Problem "The broker breaks off at the login"
    why "A connection that ends at its login can't be used."
    found "The connection was closed, nothing came in time, or what came is no answer, after the \
           broker told which versions it serves."
    fix "Look into the broker's log for why it ends connections from here.";
    READABLE "RDK-LGN-08" Warning "The password is sent so that it can be read on the way"
    why "PLAIN sends the password as it is, and without TLS whoever is on the way can read it."
    found "The login is by PLAIN, without TLS, and the broker is on another machine."
    fix "Use a listener with TLS, or set `saslMechanism` to SHA-512 if the broker offers it.";
}
