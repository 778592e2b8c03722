//! What the headers of a camera's answers mean, as far as a session needs them.

use super::connection::Broken;
use super::message::{Message, quoted};
use url::Url;

/// How long a session lasts without a request, in seconds, where the camera does not
/// say.
pub const SESSION: u64 = 60;
/// The longest that it is believed to last.
const MAX_SESSION: u64 = 3600;

/// What addresses in the description are relative to (RFC 2326, C.1.1). Some cameras
/// leave the scheme out.
pub fn base(answer: &Message, asked: &Url) -> Url {
    let given = answer
        .header("Content-Base")
        .or_else(|| answer.header("Content-Location"));
    let whole = |text: &str| {
        let url = Url::parse(text).ok();
        url.filter(|url| url.host_str().is_some_and(|host| !host.is_empty()))
    };
    let based = given.and_then(|text| {
        let schemeless = || whole(&format!("{}://{text}", asked.scheme()));
        whole(text)
            .or_else(|| asked.join(text).ok().filter(|_| text.starts_with('/')))
            .or_else(schemeless)
    });
    based.unwrap_or_else(|| asked.clone())
}

/// The address of a control attribute: what cameras expect, and other programs do,
/// is to append it.
pub fn join(base: &Url, control: &str) -> String {
    if control == "*" {
        return base.to_string();
    }
    if let Ok(whole) = Url::parse(control) {
        return whole.to_string();
    }
    let base = base.as_str();
    let slash = if base.ends_with('/') { "" } else { "/" };
    let joined = format!("{base}{slash}{control}");
    // As an address it has no blanks or line ends.
    Url::parse(&joined).map_or_else(|_| base.to_owned(), String::from)
}

/// The parts of a `Session` header like `12345678;timeout=60`.
pub fn session_and_timeout(header: &str) -> (&str, u64) {
    let mut parts = header.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let timeout = parts.find_map(|part| {
        let (key, value) = part.split_once('=')?;
        let seconds = value.trim().parse().ok().filter(|seconds| *seconds > 0);
        seconds.filter(|_| key.trim().eq_ignore_ascii_case("timeout"))
    });
    (name, timeout.unwrap_or(SESSION).min(MAX_SESSION))
}

/// The channel of the packets, by the answer's `Transport`; the one that was asked
/// for if it tells none.
pub fn channel(transport: &str) -> Result<u8, Broken> {
    let mut is_tcp = transport.is_empty();
    for part in transport.split(';') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let key = key.trim();
        is_tcp |= key.to_ascii_uppercase().ends_with("/TCP");
        if key.eq_ignore_ascii_case("interleaved") {
            let first = value.split('-').next().unwrap_or_default().trim();
            return first.parse().map_err(|_| {
                Broken::Unusable(format!(
                    "it sends on the channel {:?}; it should be a number up to 255",
                    quoted(first)
                ))
            });
        }
    }
    if is_tcp {
        Ok(0)
    } else {
        Err(Broken::Status(461))
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Head;
    use super::*;

    fn answer(header: &str) -> Message {
        let mut head = Head::default();
        let mut take = |line: &str| head.line(line.as_bytes()).expect("RTSP");
        take("RTSP/1.0 200 OK");
        take(header);
        take("").expect("a whole message")
    }

    #[test]
    fn tracks_are_found_from_what_the_camera_calls_itself() {
        let asked = Url::parse("rtsp://10.0.0.7/live?channel=1").expect("an address");
        for (header, based) in [
            ("", "rtsp://10.0.0.7/live?channel=1"),
            ("Content-Base: rtsp://cam/live/", "rtsp://cam/live/"),
            ("Content-Location: rtsp://cam/live", "rtsp://cam/live"),
            (
                "Content-Base: 10.0.0.7:8554/live/",
                "rtsp://10.0.0.7:8554/live/",
            ),
            ("Content-Base: /other/", "rtsp://10.0.0.7/other/"),
            ("Content-Base:", "rtsp://10.0.0.7/live?channel=1"),
        ] {
            assert_eq!(base(&answer(header), &asked).as_str(), based, "{header}");
        }
        for (control, joined) in [
            ("*", "rtsp://10.0.0.7/live?channel=1"),
            ("trackID=0", "rtsp://10.0.0.7/live?channel=1/trackID=0"),
            ("rtsp://cam/track1", "rtsp://cam/track1"),
            ("a b", "rtsp://10.0.0.7/live?channel=1/a%20b"),
        ] {
            assert_eq!(join(&asked, control), joined);
        }
    }

    #[test]
    fn sessions_and_channels_are_told_in_many_ways() {
        for (header, name, timeout) in [
            ("7", "7", 60),
            ("7;timeout=30", "7", 30),
            (" 7 ; x ; Timeout = 90 ; y=1", "7", 90),
            ("7;timeout=0", "7", 60),
            ("7;timeout=soon", "7", 60),
            ("7;timeout=99999999", "7", MAX_SESSION),
        ] {
            assert_eq!(session_and_timeout(header), (name, timeout), "{header}");
        }
        for (transport, expected) in [
            ("", Some(0)),
            ("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=12", Some(0)),
            (
                "RTP/AVP/TCP; unicast; interleaved = 3 - 4; source=",
                Some(3),
            ),
            ("RTP/AVP/TCP;interleaved=8", Some(8)),
            ("RTP/AVP/TCP;unicast", Some(0)),
            ("RTP/AVP/TCP;interleaved=256-257", None),
            ("RTP/AVP;unicast;client_port=0-1", None),
        ] {
            assert_eq!(channel(transport).ok(), expected, "{transport}");
        }
    }
}
