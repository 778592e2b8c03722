//! Whom the hub believes when it asks a camera over TLS: whoever this machine believes.

use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Reading a machine's authorities takes ten thousand times as long as passing on a
/// frame, so it is done once, and on a thread where nobody waits for it.
static CLIENT: OnceCell<ClientConfig> = OnceCell::const_new();

/// A client's TLS, with the authorities that this machine had when it was first asked for.
///
/// # Errors
/// Says why they can't be had.
pub async fn client() -> Result<ClientConfig, String> {
    let config = CLIENT.get_or_try_init(|| async {
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|error| Err(rustls::Error::General(error.to_string())))
    });
    let config = config.await;
    config.cloned().map_err(|error| {
        format!("the certificate authorities that this machine trusts can't be read: {error}")
    })
}

fn read() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth())
}
