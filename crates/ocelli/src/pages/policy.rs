//! The content security policy of the pages.

/// The pages' content security policy: scripts only from this hub. Sockets to other hosts are
/// not blocked. Video that the player assembles has a `blob:` address.
pub const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; \
     worker-src 'self' blob:; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; \
     object-src 'none'; base-uri 'none'; form-action 'self'";
