//! The opening handshake of a WebSocket (RFC 6455, section 4), checked header by header.

use super::accept;
use super::http::{Head, HttpResponse};
use super::report::Report;
use super::route::Route;
use super::tls::CLIENT_CERTIFICATE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ocelli_media::sources::redact;
use rustls::crypto::aws_lc_rs;

/// One request to open a WebSocket.
pub struct Opening {
    /// The key, random for each request.
    pub key: String,
    protocol: Option<String>,
}

impl Opening {
    /// Requests one subprotocol, or none.
    pub fn new(protocol: Option<&str>) -> Self {
        let mut nonce = [0; 16];
        random(&mut nonce);
        Self {
            key: STANDARD.encode(nonce),
            protocol: protocol.map(str::to_owned),
        }
    }

    /// The request as a browser would send it for a page of `origin`.
    pub fn request(&self, route: &Route, origin: Option<&str>) -> String {
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\nUser-Agent: ocelli-doctor/{}\r\n",
            route.target,
            route.authority(),
            self.key,
            env!("CARGO_PKG_VERSION")
        );
        if let Some(origin) = origin {
            request.push_str(&format!("Origin: {origin}\r\n"));
        }
        if let Some(protocol) = &self.protocol {
            request.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
        }
        request.push_str("\r\n");
        request
    }

    /// Checks a complete response with status 101.
    pub fn check_response(&self, head: &Head, report: &mut Report) {
        check_version(head, report);
        report.pass("status", "The server agrees to switch protocols (101).");
        check_switch("upgrade", "Upgrade", "websocket", head, report);
        check_switch("connection", "Connection", "Upgrade", head, report);
        self.check_accept(head, report);
        self.check_subprotocol(head, report);
        check_extensions(head, report);
    }

    fn check_accept(&self, head: &Head, report: &mut Report) {
        let expected = accept::expected(&self.key);
        let received = head.all("sec-websocket-accept");
        let received = match received[..] {
            [one] => one,
            [] => {
                return report.mismatch(
                    "accept",
                    "The response lacks the header Sec-WebSocket-Accept, so browsers disconnect. It must \
                     be base64(SHA-1(key + GUID)). Better: let a WebSocket library do the handshake.",
                    &expected,
                    "nothing",
                );
            }
            _ => {
                return report.mismatch(
                    "accept",
                    "There is more than one Sec-WebSocket-Accept, so browsers disconnect. Send it once; \
                     perhaps a proxy adds another one.",
                    &expected,
                    &received.join(" and "),
                );
            }
        };
        if received == expected {
            return report.pass("accept", "Sec-WebSocket-Accept matches the key.");
        }
        let message = match accept::mistakes(&self.key, received) {
            Some(mistakes) => format!(
                "Sec-WebSocket-Accept does not match the key, so browsers disconnect (with 1006 \
                 and no reason). The server's mistake: {}.",
                mistakes.join(", and ")
            ),
            None => "Sec-WebSocket-Accept does not match the key, so browsers disconnect (with \
                     1006 and no reason), and this is not one of the known mistakes. It should be \
                     base64(SHA-1(key + GUID)) with the key of this request. Does the server, or a \
                     cache in front of it, send a fixed value?"
                .to_owned(),
        };
        report.mismatch("accept", message, &expected, received);
    }

    fn check_subprotocol(&self, head: &Head, report: &mut Report) {
        let chosen = head.all("sec-websocket-protocol");
        match (&self.protocol, &chosen[..]) {
            (None, []) => report.pass("subprotocol", "None was requested, and none was sent."),
            (None, _) => report.mismatch(
                "subprotocol",
                "The server selects a subprotocol that was not requested, so browsers disconnect. Make \
                 it leave out Sec-WebSocket-Protocol, or request it in the page: \
                 new WebSocket(address, name).",
                "no Sec-WebSocket-Protocol",
                &chosen.join(" and "),
            ),
            (Some(wanted), [one]) if one == wanted => {
                report.pass("subprotocol", format!("The server speaks {wanted}."));
            }
            (Some(wanted), _) => {
                let received = match &chosen[..] {
                    [] => "nothing".to_owned(),
                    some => some.join(" and "),
                };
                report.mismatch(
                    "subprotocol",
                    "The server does not select the requested subprotocol, so browsers \
                     disconnect. Make it send Sec-WebSocket-Protocol with that one name, or do not request it.",
                    wanted,
                    &received,
                );
            }
        }
    }
}

/// Random bytes for keys and masks.
pub fn random(bytes: &mut [u8]) {
    // If there is no randomness, zeros are still a valid key.
    let _ = aws_lc_rs::default_provider().secure_random.fill(bytes);
}

fn check_version(head: &Head, report: &mut Report) {
    if head.version == "HTTP/1.1" {
        return report.pass("http", "The server answers in HTTP/1.1.");
    }
    report.mismatch(
        "http",
        "The server does not answer in HTTP/1.1, and browsers open WebSockets only with \
         HTTP/1.1. Its status line must begin with HTTP/1.1; if there is a proxy in front, set it \
         to HTTP/1.1 (nginx: proxy_http_version 1.1).",
        "HTTP/1.1",
        &head.version,
    );
}

/// Checks one of the two headers that switch the protocol.
fn check_switch(check: &'static str, name: &str, wanted: &str, head: &Head, report: &mut Report) {
    let values = head.all(&name.to_ascii_lowercase());
    let mut tokens = values
        .iter()
        .flat_map(|value| value.split(','))
        .map(str::trim);
    // A Connection header may list other values too; Upgrade may have only one.
    let good = if check == "upgrade" {
        values.len() == 1 && values[0].eq_ignore_ascii_case(wanted)
    } else {
        tokens.any(|token| token.eq_ignore_ascii_case(wanted))
    };
    if good {
        return report.pass(check, format!("The response has {name}: {wanted}."));
    }
    let fault = if values.is_empty() {
        format!("The response lacks the header {name}: {wanted}")
    } else {
        format!("The response has a different value in its {name} header")
    };
    report.mismatch(
        check,
        format!(
            "{fault}, so browsers disconnect. Make the server send exactly that; if there is a proxy in \
             front, make the proxy pass it on."
        ),
        &format!("{name}: {wanted}"),
        &match &values[..] {
            [] => "nothing".to_owned(),
            some => format!("{name}: {}", some.join(", ")),
        },
    );
}

fn check_extensions(head: &Head, report: &mut Report) {
    let chosen = head.all("sec-websocket-extensions");
    if chosen.is_empty() {
        return report.pass("extensions", "None was requested, and none was sent.");
    }
    report.mismatch(
        "extensions",
        "The server enables an extension that was not requested, so a strict client disconnects. \
         Its Sec-WebSocket-Extensions must have only extensions that the request offers.",
        "no Sec-WebSocket-Extensions",
        &chosen.join(", "),
    );
}

/// Reports a response that does not open a WebSocket.
pub fn report_refusal(head: &Head, excerpt: Option<&str>, report: &mut Report) {
    if head.version != "HTTP/1.1" {
        check_version(head, report);
    }
    let path = "Check the path of the address";
    let meaning = match head.status {
        200..=299 => format!(
            "It sends an ordinary page, so there is no WebSocket at this address. \
             {path}; if the path is right, a proxy in between drops the Upgrade and Connection \
             headers (nginx: proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \
             \"upgrade\")."
        ),
        300..=399 => {
            let to = head.first("location").map(redact).unwrap_or_default();
            format!(
                "It redirects to {to:?}, and browsers do not follow redirects for a \
                     WebSocket. Use that address directly."
            )
        }
        400 => "It rejects the request as malformed. Often a proxy in between drops the Upgrade or \
                Connection header, or speaks HTTP/1.0 to the server."
            .to_owned(),
        401 => "It requires authentication: a token or a session is missing or has expired. \
                Browsers can't add headers to a WebSocket, so put the token into the address."
            .to_owned(),
        403 => "It does not allow this page or this user: often the \
                Origin is not on its list, or the token is for another resource."
            .to_owned(),
        404 => format!("There is nothing at this path. {path}: WebSockets are seldom at /."),
        405 => format!("There is something other than a WebSocket at this address. {path}."),
        421 => "It does not accept this host name. Use a name that it accepts, or add this one \
                to its list (Ocelli: allowed_hosts)."
            .to_owned(),
        426 => "It requires an upgrade and did not receive the request for it: a proxy in between drops \
                the Upgrade header."
            .to_owned(),
        429 => "It has received too many requests from this address. Wait a minute.".to_owned(),
        502 | 504 => "A proxy answers, but the server behind it does not. Is that server running, and on \
                      the port that the proxy uses?"
            .to_owned(),
        503 => "It is overloaded or starting. Try again.".to_owned(),
        500..=599 => {
            "The request caused an error in the server. See the server's log.".to_owned()
        }
        _ => format!("It refuses the request. {path}."),
    };
    let detail = excerpt
        .map(|text| format!("  Its message: {text}"))
        .unwrap_or_default();
    report.mismatch(
        "status",
        format!("The server does not open a WebSocket. {meaning}{detail}"),
        "101 Switching Protocols",
        &head.status.to_string(),
    );
}

/// Reports a response that is not HTTP or not complete.
pub fn report_no_response(response: &HttpResponse, route: &Route, report: &mut Report) {
    let message = match response {
        HttpResponse::Head(..) => return,
        HttpResponse::NeedsCertificate => return report.fail("tls", CLIENT_CERTIFICATE),
        HttpResponse::Other(bytes) if bytes.first() == Some(&0x15) => {
            "The server speaks TLS on this port. Write the address with wss:// or https://."
                .to_owned()
        }
        HttpResponse::Other(_) => format!(
            "The server on port {} does not speak HTTP, so it is not a WebSocket server. Is it the \
             right port?",
            route.port
        ),
        HttpResponse::Closed(0) => {
            "The server accepts the connection and closes it without a response. It \
                              may have crashed, or require TLS (wss://)."
                .to_owned()
        }
        HttpResponse::Closed(_) => {
            "The server closes the connection in the middle of its response: the empty line \
                              after the headers (\\r\\n\\r\\n) never arrived."
                .to_owned()
        }
        HttpResponse::Silent(0) => {
            "The server accepts the connection and never responds. It may hang, or \
                              require TLS (wss://)."
                .to_owned()
        }
        HttpResponse::Silent(_) => {
            "The server's response is incomplete: the empty line after the headers \
                              (\\r\\n\\r\\n) never arrived."
                .to_owned()
        }
    };
    report.fail("http", message);
}
