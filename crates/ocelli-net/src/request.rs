//! What is settled of a request before it reaches its route: who sent it, which host it
//! asks for, and which page it comes from.
//!
//! What does not belong here: the rules by which that is decided (`origin_policy`, `proxy`).

use crate::connection::ConnectionFacts;
use http::header::HeaderValue;
use std::net::SocketAddr;
use std::sync::Arc;

/// Facts of one request, which carries them as an extension. Behind a trusted proxy one
/// connection brings the requests of many clients.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address; behind a trusted proxy that of the proxy's client, with
    /// port 0 where the proxy does not tell it.
    pub remote: SocketAddr,
    /// The address it reached the hub by.
    pub local: SocketAddr,
    /// Whether the client's own side of the conversation is encrypted.
    pub secure: bool,
    /// The host and port that the client asked for, once they were found to be ours;
    /// none for HTTP/1.0 without a Host.
    pub authority: Option<Arc<str>>,
    /// The page that the request comes from.
    pub origin: Origin,
}

impl Peer {
    /// Of a request over this connection, as far as the connection tells.
    /// [`OriginPolicy::settle`](crate::origin_policy::OriginPolicy::settle) decides the rest.
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

/// The page that a request comes from, by its `Origin` header, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The request does not say: no page sends it, or the browser has no reason to say so.
    Absent,
    /// One of the hub's own pages, by scheme, host and port.
    Own(HeaderValue),
    /// Another page that may open public sockets.
    Allowed(HeaderValue),
    /// A page that may not.
    Foreign(HeaderValue),
    /// The request names several.
    Several,
}

impl Origin {
    /// Checks that the page may open a public socket: one of the hub's own hosts on any
    /// port, or an allowed origin, or no page at all.
    ///
    /// # Errors
    /// Says which origin was refused and how to allow it.
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

    /// The header, if it names a page that may open public sockets.
    pub(crate) fn allowed(&self) -> Option<&HeaderValue> {
        match self {
            Self::Own(origin) | Self::Allowed(origin) => Some(origin),
            Self::Absent | Self::Foreign(_) | Self::Several => None,
        }
    }

    /// Whether the page is one of the hub's own; none if the request does not say.
    pub fn is_own(&self) -> Option<bool> {
        match self {
            Self::Absent => None,
            Self::Own(_) => Some(true),
            Self::Allowed(_) | Self::Foreign(_) | Self::Several => Some(false),
        }
    }
}
