//! The opening handshake of a WebSocket (RFC 6455, section 4), judged header by
//! header.

use super::accept;
use super::http::{Answer, Head};
use super::report::Report;
use super::route::Route;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ocelli_media::sources::redact;
use rustls::crypto::aws_lc_rs;

/// One request to open a WebSocket.
pub struct Opening {
    /// A new one each time.
    pub key: String,
    protocol: Option<String>,
}

impl Opening {
    /// Asks for one subprotocol, or for none.
    pub fn new(protocol: Option<&str>) -> Self {
        let mut nonce = [0; 16];
        random(&mut nonce);
        Self {
            key: STANDARD.encode(nonce),
            protocol: protocol.map(str::to_owned),
        }
    }

    /// The request, as a browser would send it for a page of `origin`.
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

    /// Judges a whole answer with status 101.
    pub fn judge(&self, head: &Head, report: &mut Report) {
        version(head, report);
        report.pass("status", "The server agrees to switch protocols (101).");
        switch("upgrade", "Upgrade", "websocket", head, report);
        switch("connection", "Connection", "Upgrade", head, report);
        self.accept(head, report);
        self.subprotocol(head, report);
        extensions(head, report);
    }

    fn accept(&self, head: &Head, report: &mut Report) {
        let expected = accept::expected(&self.key);
        let received = head.all("sec-websocket-accept");
        let received = match received[..] {
            [one] => one,
            [] => {
                return report.mismatch(
                    "accept",
                    "The answer lacks the header Sec-WebSocket-Accept, so browsers close. It must \
                     hold base64(SHA-1(key + GUID)), or better: let a WebSocket library answer.",
                    &expected,
                    "nothing",
                );
            }
            _ => {
                return report.mismatch(
                    "accept",
                    "There is more than one Sec-WebSocket-Accept, so browsers close. Send it once; \
                     perhaps a proxy adds its own.",
                    &expected,
                    &received.join(" and "),
                );
            }
        };
        if received == expected {
            return report.pass("accept", "Sec-WebSocket-Accept fits the key.");
        }
        let message = match accept::mistakes(&self.key, received) {
            Some(mistakes) => format!(
                "Sec-WebSocket-Accept does not fit the key, so browsers close (with 1006 and no \
                 reason). The server's mistake: {}.",
                mistakes.join(", and ")
            ),
            None => "Sec-WebSocket-Accept does not fit the key, so browsers close (with 1006 and \
                     no reason), and it is none of the usual mistakes. It should be \
                     base64(SHA-1(key + GUID)) of this request's own key; does the server, or a \
                     cache before it, answer with a fixed value?"
                .to_owned(),
        };
        report.mismatch("accept", message, &expected, received);
    }

    fn subprotocol(&self, head: &Head, report: &mut Report) {
        let chosen = head.all("sec-websocket-protocol");
        match (&self.protocol, &chosen[..]) {
            (None, []) => report.pass("subprotocol", "None was asked for, and none came."),
            (None, _) => report.mismatch(
                "subprotocol",
                "The server chooses a subprotocol that was not asked for, so browsers close. Let \
                 it leave out Sec-WebSocket-Protocol, or ask for it in the page: \
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
                    "The server does not choose the subprotocol that was asked for, so browsers \
                     close. Let it send Sec-WebSocket-Protocol with that one name, or do not ask.",
                    wanted,
                    &received,
                );
            }
        }
    }
}

/// Random bytes for keys and masks.
pub fn random(bytes: &mut [u8]) {
    // Were there no randomness, zeros would still be a valid key.
    let _ = aws_lc_rs::default_provider().secure_random.fill(bytes);
}

fn version(head: &Head, report: &mut Report) {
    if head.version == "HTTP/1.1" {
        return report.pass("http", "The server answers in HTTP/1.1.");
    }
    report.mismatch(
        "http",
        "The server answers in another version than HTTP/1.1, and browsers open WebSockets in no \
         other. Let its status line begin with HTTP/1.1; if a proxy stands before it, switch that \
         to HTTP/1.1 (nginx: proxy_http_version 1.1).",
        "HTTP/1.1",
        &head.version,
    );
}

/// One of the two headers that say what the connection becomes.
fn switch(check: &'static str, name: &str, wanted: &str, head: &Head, report: &mut Report) {
    let values = head.all(&name.to_ascii_lowercase());
    let mut tokens = values
        .iter()
        .flat_map(|value| value.split(','))
        .map(str::trim);
    // A connection may have other properties too; it becomes one thing only.
    let good = if check == "upgrade" {
        values.len() == 1 && values[0].eq_ignore_ascii_case(wanted)
    } else {
        tokens.any(|token| token.eq_ignore_ascii_case(wanted))
    };
    if good {
        return report.pass(check, format!("The answer has {name}: {wanted}."));
    }
    let fault = if values.is_empty() {
        format!("The answer lacks the header {name}: {wanted}")
    } else {
        format!("The answer's {name} header says something else")
    };
    report.mismatch(
        check,
        format!(
            "{fault}, so browsers close. Let the server send exactly that; if a proxy stands \
             before it, let the proxy pass it on."
        ),
        &format!("{name}: {wanted}"),
        &match &values[..] {
            [] => "nothing".to_owned(),
            some => format!("{name}: {}", some.join(", ")),
        },
    );
}

fn extensions(head: &Head, report: &mut Report) {
    let chosen = head.all("sec-websocket-extensions");
    if chosen.is_empty() {
        return report.pass("extensions", "None was asked for, and none came.");
    }
    report.mismatch(
        "extensions",
        "The server switches on an extension that was not asked for, so a strict client closes. \
         Let it answer with Sec-WebSocket-Extensions only what the request offers.",
        "no Sec-WebSocket-Extensions",
        &chosen.join(", "),
    );
}

/// An answer that opens no WebSocket.
pub fn refused(head: &Head, quoted: Option<&str>, report: &mut Report) {
    if head.version != "HTTP/1.1" {
        version(head, report);
    }
    let path = "Check the path of the address";
    let meaning = match head.status {
        200..=299 => format!(
            "It answers as to a request for a page, so there is no WebSocket at this address. \
             {path}; if the path is right, a proxy in between drops the Upgrade and Connection \
             headers (nginx: proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \
             \"upgrade\")."
        ),
        300..=399 => {
            let to = head.first("location").map(redact).unwrap_or_default();
            format!(
                "It sends elsewhere, to {to:?}, and browsers do not follow that for a \
                     WebSocket. Use that address itself."
            )
        }
        400 => "It does not like the request. Often a proxy in between drops the Upgrade or \
                Connection header, or speaks HTTP/1.0 to the server."
            .to_owned(),
        401 => "It wants to know who asks: a token or a sign-in is missing or has run out. \
                Browsers can't add headers to a WebSocket, so a token goes into the address."
            .to_owned(),
        403 => "It knows the address and does not let this page or this user in: often the \
                Origin is not on its list, or the token is for something else."
            .to_owned(),
        404 => format!("Nothing is at this path. {path}: WebSockets seldom live at /."),
        405 => format!("It has something else than a WebSocket there. {path}."),
        421 => "It does not answer to this host name. Use a name that it knows, or add this one \
                to its list (Ocelli: allowed_hosts)."
            .to_owned(),
        426 => "It wants an upgrade and does not see that this is one: a proxy in between drops \
                the Upgrade header."
            .to_owned(),
        429 => "It has had too many requests from here. Wait a minute.".to_owned(),
        502 | 504 => "A proxy answers, and the server behind it does not. Is that running, and at \
                      the port that the proxy thinks?"
            .to_owned(),
        503 => "It is too busy, or starting. Try again.".to_owned(),
        500..=599 => {
            "The server broke down over the request. Its own log should say why.".to_owned()
        }
        _ => format!("It refuses. {path}."),
    };
    let said = quoted
        .map(|text| format!(" It says: {text}"))
        .unwrap_or_default();
    report.mismatch(
        "status",
        format!("The server does not open a WebSocket. {meaning}{said}"),
        "101 Switching Protocols",
        &head.status.to_string(),
    );
}

/// An answer that is none.
pub fn unanswered(answer: &Answer, route: &Route, report: &mut Report) {
    let message = match answer {
        Answer::Head(..) => return,
        Answer::Other(bytes) if bytes.first() == Some(&0x15) => {
            "The server speaks TLS on this port. Write the address with wss:// or https://."
                .to_owned()
        }
        Answer::Other(_) => format!(
            "What answers on port {} does not speak HTTP, so it is no WebSocket server. Is it the \
             right port?",
            route.port
        ),
        Answer::Closed(0) => "The server takes the connection and hangs up without an answer. It \
                              may have crashed over the request, or want TLS (wss://)."
            .to_owned(),
        Answer::Closed(_) => "The server hangs up in the middle of its answer: the empty line \
                              behind the headers (\\r\\n\\r\\n) never came."
            .to_owned(),
        Answer::Silent(0) => "The server takes the connection and never answers. It may hang, or \
                              want TLS (wss://)."
            .to_owned(),
        Answer::Silent(_) => "The server's answer has no end: the empty line behind the headers \
                              (\\r\\n\\r\\n) never came."
            .to_owned(),
    };
    report.fail("http", message);
}
