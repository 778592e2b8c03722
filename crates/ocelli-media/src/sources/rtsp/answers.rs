//! Parsing of the response headers that a session needs.

use super::error::SessionError;
use super::message::{Message, quoted};
use std::net::{IpAddr, Ipv4Addr};
use url::Url;

/// Default session timeout in seconds, if the camera sends none.
pub const SESSION: u64 = 60;
/// Upper limit of the session timeout.
const MAX_SESSION: u64 = 3600;

/// Returns the base of relative addresses in the SDP (RFC 2326, C.1.1). Some cameras leave
/// the scheme out.
pub fn base(response: &Message, requested_url: &Url) -> Url {
    let given = response
        .header("Content-Base")
        .or_else(|| response.header("Content-Location"));
    let whole = |text: &str| {
        let url = Url::parse(text).ok();
        url.filter(|url| url.host_str().is_some_and(|host| !host.is_empty()))
    };
    let based = given.and_then(|text| {
        let schemeless = || whole(&format!("{}://{text}", requested_url.scheme()));
        whole(text)
            .or_else(|| {
                requested_url
                    .join(text)
                    .ok()
                    .filter(|_| text.starts_with('/'))
            })
            .or_else(schemeless)
    });
    based.unwrap_or_else(|| requested_url.clone())
}

/// Returns the address of a control attribute. The attribute is appended to the base, as
/// cameras expect and other clients do.
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
    // Parsing encodes blanks and removes line ends.
    Url::parse(&joined).map_or_else(|_| base.to_owned(), String::from)
}

/// Parses a `Session` header like `12345678;timeout=60`.
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

/// Returns the channel of the packets from the response's `Transport`, or the requested
/// channel if it contains none.
///
/// # Errors
/// The camera does not send over TCP, or its channel is not a number.
pub fn channel(transport: &str, requested: u8) -> Result<u8, SessionError> {
    let mut is_tcp = transport.is_empty();
    for (key, value) in parameters(transport) {
        is_tcp |= key.to_ascii_uppercase().ends_with("/TCP");
        if key.eq_ignore_ascii_case("interleaved") {
            let first = value.split('-').next().unwrap_or_default().trim();
            return first.parse().map_err(|_| {
                SessionError::Unusable(format!(
                    "its interleaved channel is {:?}; it should be a number up to 255",
                    quoted(first)
                ))
            });
        }
    }
    if is_tcp {
        Ok(requested)
    } else {
        Err(SessionError::NotTcp)
    }
}

/// Returns the camera's ports for RTP and RTCP from the `Transport` of a response to a request
/// for UDP, if it contains them.
///
/// # Errors
/// The camera chooses a transport that was not requested.
pub fn server_ports(transport: &str) -> Result<Option<(u16, u16)>, SessionError> {
    let mut ports = None;
    for (key, value) in parameters(transport) {
        let key = key.to_ascii_lowercase();
        if key == "multicast" || key == "interleaved" || key.ends_with("/tcp") {
            return Err(SessionError::Unusable(format!(
                "it answers a request for RTP over UDP with {:?}",
                quoted(transport)
            )));
        }
        if key == "server_port" {
            let (first, second) = value.split_once('-').unwrap_or((value, ""));
            let port = |text: &str| text.trim().parse().ok().filter(|port| *port > 0);
            let first: Option<u16> = port(first);
            ports = first.map(|first| (first, port(second).unwrap_or(first.saturating_add(1))));
        }
    }
    Ok(ports)
}

/// Returns the address from which the packets come, if `Transport` names one that a machine can
/// have.
pub fn source(transport: &str) -> Option<IpAddr> {
    let source = |(key, value): (&str, &str)| {
        let is_source = key.eq_ignore_ascii_case("source");
        value.parse::<IpAddr>().ok().filter(|_| is_source)
    };
    let source = parameters(transport).find_map(source)?.to_canonical();
    (!source.is_unspecified() && !source.is_multicast()).then_some(source)
}

/// Returns group and port of RTP by multicast from the `Transport` of a response.
///
/// # Errors
/// It names no IPv4 group, or no port.
pub fn group(transport: &str) -> Result<(Ipv4Addr, u16), SessionError> {
    let value = |name: &str| {
        let mut all = parameters(transport);
        all.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    };
    let group = value("destination").and_then(|group| group.parse().ok());
    let port = value("port").and_then(|ports| ports.split('-').next()?.trim().parse().ok());
    match (group.filter(Ipv4Addr::is_multicast), port) {
        (Some(group), Some(port)) if port > 0 => Ok((group, port)),
        _ => Err(SessionError::NotTcp),
    }
}

/// Returns the parameters of a `Transport` header: names and values.
fn parameters(transport: &str) -> impl Iterator<Item = (&str, &str)> {
    transport.split(';').map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (key.trim(), value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::super::message::Head;
    use super::*;

    fn response(header: &str) -> Message {
        let mut head = Head::default();
        let mut take = |line: &str| head.line(line.as_bytes()).expect("RTSP");
        take("RTSP/1.0 200 OK");
        take(header);
        take("").expect("a whole message")
    }

    #[test]
    fn track_addresses_are_relative_to_the_cameras_base() {
        let requested_url = Url::parse("rtsp://10.0.0.7/live?channel=1").expect("an address");
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
            assert_eq!(
                base(&response(header), &requested_url).as_str(),
                based,
                "{header}"
            );
        }
        for (control, joined) in [
            ("*", "rtsp://10.0.0.7/live?channel=1"),
            ("trackID=0", "rtsp://10.0.0.7/live?channel=1/trackID=0"),
            ("rtsp://cam/track1", "rtsp://cam/track1"),
            ("a b", "rtsp://10.0.0.7/live?channel=1/a%20b"),
        ] {
            assert_eq!(join(&requested_url, control), joined);
        }
    }

    #[test]
    fn session_and_transport_headers_are_parsed() {
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
            assert_eq!(channel(transport, 0).ok(), expected, "{transport}");
        }
        for (transport, expected) in [
            (
                "RTP/AVP;unicast;client_port=2-3;server_port=6970-6971",
                Some(Some((6970, 6971))),
            ),
            (
                "RTP/AVP/UDP; unicast; server_port = 6970",
                Some(Some((6970, 6971))),
            ),
            ("RTP/AVP;server_port=0-0", Some(None)),
            ("", Some(None)),
            (
                "RTP/AVP;multicast;destination=239.0.0.1;port=5000-5001",
                None,
            ),
            ("RTP/AVP/TCP;interleaved=0-1", None),
        ] {
            assert_eq!(server_ports(transport).ok(), expected, "{transport}");
        }
        for (address, expected) in [
            ("10.0.0.9", Some([10, 0, 0, 9].into())),
            ("::ffff:10.0.0.9", Some([10, 0, 0, 9].into())),
            ("0.0.0.0", None),
            ("239.0.0.1", None),
            ("camera", None),
        ] {
            let transport = format!("RTP/AVP;unicast;Source={address};server_port=2-3");
            assert_eq!(source(&transport), expected, "{address}");
        }
        let given = [239, 0, 0, 1].into();
        for (transport, expected) in [
            (
                "RTP/AVP;multicast;destination=239.0.0.1;port=5000-5001;ttl=1",
                Some((given, 5000)),
            ),
            (
                "RTP/AVP;multicast; Destination = 239.0.0.1; port = 5000",
                Some((given, 5000)),
            ),
            (
                "RTP/AVP;multicast;destination=10.0.0.7;port=5000-5001",
                None,
            ),
            ("RTP/AVP;multicast;destination=239.0.0.1;port=0-1", None),
            ("RTP/AVP;multicast;port=5000", None),
        ] {
            assert_eq!(group(transport).ok(), expected, "{transport}");
        }
    }
}
