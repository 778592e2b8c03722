//! The content security policy of the pages.

/// The pages' content security policy: scripts only from this hub. Sockets to other hosts are
/// not blocked.
pub const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; worker-src 'self' blob:; \
     connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; object-src 'none'; \
     base-uri 'none'; form-action 'self'";
