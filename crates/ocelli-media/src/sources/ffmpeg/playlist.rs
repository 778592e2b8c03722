//! The list through which ffmpeg gets a network address: a concat demuxer list with one entry on
//! its standard input. Every user of this machine can read command lines, and the address may
//! contain a password.

use super::super::{Credentials, tls_trust};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Returns the protocols that ffmpeg may use for an address of this scheme. All others are
/// forbidden, so that a stream can't lead it to a file on this machine.
pub fn protocols(url: &str) -> String {
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    match scheme {
        "rtsp" => "rtsp,rtp,tcp,udp".to_owned(),
        "rtsps" => "rtsps,rtsp,rtp,tcp,udp,tls".to_owned(),
        "http" | "https" | "hls" => "http,https,tcp,tls,crypto".to_owned(),
        "rtmp" => "rtmp,tcp".to_owned(),
        "rtmps" => "rtmps,rtmp,tls,tcp".to_owned(),
        "rtp" => "rtp,udp".to_owned(),
        other => format!("{other},tcp,udp"),
    }
}

/// Returns the concat demuxer's list with one address. Pictures of an input that has no times get
/// those of their arrival, which ffmpeg would otherwise count at a rate of its own.
pub fn playlist(
    bare: &str,
    credentials: Option<&Credentials>,
    transport: &str,
    has_times: bool,
) -> String {
    let url = match (credentials, bare.split_once("://")) {
        (Some(known), Some((scheme, rest))) => {
            let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
            let (user, password) = (encoded(&known.user), encoded(&known.password));
            format!("{scheme}://{user}:{password}@{rest}")
        }
        _ => bare.to_owned(),
    };
    // Inside quotes, only the quote character is special.
    let quoted = url.replace('\'', r"'\''");
    let mut list = format!("ffconcat version 1.0\nfile '{quoted}'\n");
    let scheme = bare.split_once(':').map_or("", |(scheme, _)| scheme);
    let options: &[(&str, &str)] = match scheme {
        "rtsp" | "rtsps" => &[("rtsp_transport", transport), ("timeout", "8000000")],
        "http" | "https" => &[("rw_timeout", "8000000")],
        _ => &[],
    };
    for (name, value) in options {
        list.push_str(&format!("option {name} {value}\n"));
    }
    if !has_times {
        list.push_str("option use_wallclock_as_timestamps 1\n");
    }
    list.push_str("option analyzeduration 1000000\n");
    list
}

/// Returns the options of the list's address that make ffmpeg verify the peer's certificate.
/// Otherwise it accepts any.
pub fn verifying(bare: &str) -> String {
    let scheme = bare.split_once(':').map_or("", |(scheme, _)| scheme);
    if !matches!(scheme, "https" | "hls" | "rtmps" | "tls") {
        return String::new();
    }
    let mut options = "option tls_verify 1\n".to_owned();
    // Some builds of ffmpeg trust no authority by default.
    if let Some(file) = tls_trust::authorities_file() {
        let quoted = file.to_string_lossy().replace('\'', r"'\''");
        if !quoted.contains('\n') {
            options.push_str(&format!("option ca_file '{quoted}'\n"));
        }
    }
    options
}

/// Whether an address leads to pictures with times. A stream of JPEG over HTTP has none.
pub fn has_times(bare: &str) -> bool {
    let (scheme, rest) = bare.split_once("://").unwrap_or_default();
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    !matches!(scheme, "http" | "https") || path.ends_with(".m3u8") || path.ends_with(".mpd")
}
