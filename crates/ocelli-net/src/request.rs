//! Facts about a request that are determined before routing: the client address, the requested
//! host and the page origin. The rules for them are in `origin_policy` and `proxy`.

use crate::connection::ConnectionFacts;
use http::header::HeaderValue;
use std::net::SocketAddr;
use std::sync::Arc;

/// Facts about one request, attached to it as an extension. One connection from a trusted proxy
/// carries the requests of many clients.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address. Behind a trusted proxy it is the address of the proxy's client, with
    /// port 0 if the proxy does not send the port.
    pub remote: SocketAddr,
    /// The hub's address on this connection.
    pub local: SocketAddr,
    /// Whether the client's side of the connection is encrypted.
    pub secure: bool,
    /// The requested host and port, after they were accepted as the hub's. `None` for HTTP/1.0
    /// without a Host.
    pub authority: Option<Arc<str>>,
    /// The page that the request comes from.
    pub origin: Origin,
}

impl Peer {
    /// Creates the facts that follow from the connection.
    /// [`OriginPolicy::identify`](crate::origin_policy::OriginPolicy::identify) determines the rest.
    pub fn over(connection: &ConnectionFacts) -> Self {
        Self {
            remote: connection.remote,
            local: connection.local,
            secure: connection.secure,
            authority: None,
            origin: Origin::Absent,
        }
    }
}

/// The origin of the page that sent a request, from its `Origin` header, and its rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The request has no `Origin`: no page sent it, or the browser omits the header here.
    Absent,
    /// One of the hub's own pages: scheme, host and port match.
    Own(HeaderValue),
    /// Another page that may open public sockets.
    Allowed(HeaderValue),
    /// Another page that may not open public sockets.
    Foreign(HeaderValue),
    /// The request has several `Origin` headers.
    Several,
}

impl Origin {
    /// Checks that the page may open a public socket: it is on one of the hub's own hosts on any
    /// port, it has an allowed origin, or no page sent the request.
    ///
    /// # Errors
    /// The message contains the refused origin and how to allow it.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Absent | Self::Own(_) | Self::Allowed(_) => Ok(()),
            Self::Foreign(origin) => Err(format!(
                "pages from {:?} may not open sockets here. If they should, add it to \
                 `allowed_origins` in the configuration",
                origin.to_str().unwrap_or_default()
            )),
            Self::Several => Err("the request has more than one Origin header".to_owned()),
        }
    }

    /// Returns the header if its page may open public sockets.
    pub(crate) fn allowed(&self) -> Option<&HeaderValue> {
        match self {
            Self::Own(origin) | Self::Allowed(origin) => Some(origin),
            Self::Absent | Self::Foreign(_) | Self::Several => None,
        }
    }

    /// Whether the page is one of the hub's own. `None` if the request has no `Origin`.
    pub fn is_own(&self) -> Option<bool> {
        match self {
            Self::Absent => None,
            Self::Own(_) => Some(true),
            Self::Allowed(_) | Self::Foreign(_) | Self::Several => Some(false),
        }
    }
}
