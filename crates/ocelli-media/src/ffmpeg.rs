//! Command lines for the ffmpeg program, and the meaning of its output. It does not choose
//! which pictures are processed, their source or their number.
//!
//! Input is IVF and JPEG output is SMJPEG, because both carry a timestamp in milliseconds
//! with each picture. So each output picture can be matched to its input picture, even if
//! ffmpeg dropped or reordered others. MPEG-1 output is AVI, which carries at least the
//! length of each picture.

mod containers;

pub use containers::{Avi, Smjpeg};

use crate::jpeg;
use crate::mpeg1;
use crate::options::{JpegOptions, JpegRate, Mpeg1Options};
use crate::sources::redact;
use crate::supervise::{Child, Confinement, Input, exit_message, spawn_confined};
use ocelli_core::{
    BudgetExceeded, Codec, Failure, FailureKind, Frame, PeerKind, PictureLimits, Publisher,
    raw_stride,
};
use tokio::io::AsyncRead;

/// The first arguments of every ffmpeg command.
const QUIET: [&str; 5] = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"];

/// Address space for ffmpeg itself. ffmpeg 5.1 uses 270 MiB, most of it for libraries.
/// Later versions run a thread for each stage.
const ADDRESS_SPACE: u64 = 768 << 20;
/// Address space for each pixel of the largest picture. Measured: 10 bytes for H.264 with four
/// reference pictures if the JPEG is scaled down, 24 for a full-size JPEG, 27 for a 4:4:4 JPEG. Ten
/// bits a sample and more reference pictures need more.
const ADDRESS_SPACE_PER_PIXEL: u64 = 40;
/// Decoding has a lower priority than the frame path.
const NICENESS: i32 = 5;

/// The fraction of the requested interval at which the next picture is already due.
/// Timestamps jitter, and 5 pictures a second out of 25 must not become 4.2.
pub const DUE_FRACTION: f64 = 0.9;

/// The failure reason for a stream that no decoder can decode.
pub const NO_PARAMETER_SETS: &str = "it sends key frames without parameter sets";

/// The failure reasons for a file that can't be opened. [`name_file`] adds its name.
const NO_FILE: &str = "no such file";
const NO_PERMISSION: &str = "no permission to read it";

/// The failure reason for a certificate that ffmpeg does not accept. It does not tell why.
const UNVERIFIED: &str = "its certificate can't be verified: it has expired, or is not signed by \
     an authority that this machine trusts; verify_tls = false accepts any certificate";
const OTHER_NAME: &str = "its certificate can't be verified, because it is for another name; \
     verify_tls = false accepts any certificate";

/// Starts an ffmpeg with one input, whose arguments come first. It refuses to decode
/// pictures larger than `limits`, and its memory limit allows for one of that size.
///
/// # Errors
/// ffmpeg is not installed or can't be started.
pub fn start(
    arguments: impl IntoIterator<Item = String>,
    input: Input,
    limits: &PictureLimits,
) -> Result<Child, Failure> {
    let pixels = limits.coded_pixels();
    let bound = ["-max_pixels".to_owned(), pixels.to_string()];
    let first = QUIET.map(str::to_owned).into_iter().chain(bound);
    let confinement = Confinement {
        address_space: Some(ADDRESS_SPACE + ADDRESS_SPACE_PER_PIXEL * pixels),
        niceness: NICENESS,
    };
    spawn_confined("ffmpeg", first.chain(arguments), input, confinement)
}

/// Returns the output arguments for SMJPEG on standard output. Pictures stamped before
/// `from` seconds are left out. `crop` is a filter that removes row padding.
pub fn to_smjpeg(options: &JpegOptions, from: Option<f64>, crop: Option<&str>) -> Vec<String> {
    // Selects the first picture, and every later one that is far enough from the last
    // selected one. The encoder fails on two equal timestamps, so that distance is
    // never 0.
    let apart = match options.rate {
        JpegRate::Fps(fps) => format!("gte(t-prev_selected_t,{:.4})", DUE_FRACTION / fps),
        JpegRate::KeyFrames => "gt(t,prev_selected_t)".to_owned(),
    };
    let mut select = format!("isnan(prev_selected_t)+{apart}");
    if let Some(from) = from {
        select = format!("gte(t,{from})*({select})");
    }
    let crop = crop.unwrap_or_default();
    let filter = format!(
        "select='{select}',{crop}scale='min(iw,{})':-2:flags=bicubic",
        options.width
    );
    let fixed = "-an -sn -dn -copyts -fps_mode passthrough -enc_time_base 1:1000 -threads 1 \
                 -c:v mjpeg -flush_packets 1";
    let mut arguments = vec!["-vf".to_owned(), filter];
    arguments.extend(fixed.split_whitespace().map(str::to_owned));
    arguments.extend(["-q:v".to_owned(), options.quantizer().to_string()]);
    arguments.extend(["-f", "smjpeg", "pipe:1"].map(str::to_owned));
    arguments
}

/// What happens to the sound of a copied stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundTask {
    /// It is passed on.
    Copy,
    /// It is transcoded to AAC. ffmpeg writes nothing before the first sound has arrived.
    Aac,
    /// It is left out.
    Drop,
}

/// Returns the output arguments for the input's own stream in an MPEG transport stream on standard
/// output. It is written at once, and the end of each picture can be told: by its length, or by
/// the padding of its last packet.
///
/// Pictures wait for the sound of the same time, so that both are in order, but for at most 50 ms:
/// some sound is late, or has stopped.
pub fn to_copy(sound: SoundTask) -> Vec<String> {
    let sound = match sound {
        SoundTask::Copy => "-c:a copy -pes_payload_size 0 -max_interleave_delta 50000",
        SoundTask::Aac => {
            "-c:a aac -ac 2 -ar 48000 -b:a 96k -pes_payload_size 0 -max_interleave_delta 50000"
        }
        SoundTask::Drop => "-an",
    };
    let others = "-sn -dn -c:v copy -muxdelay 0 -muxpreload 0 -omit_video_pes_length 0 \
                  -flush_packets 1 -f mpegts pipe:1";
    let arguments = sound.split_whitespace().chain(others.split_whitespace());
    arguments.map(str::to_owned).collect()
}

/// Returns the output arguments for MPEG-1 in AVI on standard output, for pictures that are
/// stamped `from` seconds or later. The first of them is stamped exactly `from`.
///
/// All pictures get this size, whatever size comes in, because players allocate their buffers
/// for the first one. A picture of another shape gets bars; a difference of up to 2 % is from
/// rounding, and is scaled away. Without a size, the first picture's is kept.
///
/// Groups are closed, without B frames, and short: half a second at the usual rates.
pub fn to_mpeg1(
    options: &Mpeg1Options,
    from: f64,
    crop: Option<&str>,
    size: Option<(u16, u16)>,
) -> Vec<String> {
    let crop = crop.unwrap_or_default();
    let scale = match size {
        Some((width, height)) => format!(
            "scale=w='if(lt(abs(iw*{height}/ih/{width}-1),0.02),{width},\
             2*max(1,trunc(min({width},{height}*iw/ih)/2)))':\
             h='if(lt(abs(iw*{height}/ih/{width}-1),0.02),{height},\
             2*max(1,trunc(min({height},{width}*ih/iw)/2)))':flags=bicubic,\
             format=yuv420p,pad={width}:{height}:-1:-1"
        ),
        None => {
            let width = options.width.unwrap_or(mpeg1::LARGEST);
            format!("scale='trunc(min(iw,{width})/2)*2':-2:flags=bicubic,format=yuv420p")
        }
    };
    // The filters are set up anew when the input's size changes, so the time can't be counted
    // from their first picture.
    let filter = format!("select='gte(t,{from})',setpts=PTS-{from}/TB,{crop}{scale}");
    let (over, under) = options.rate;
    let fixed = format!(
        "-an -sn -dn -copyts -fps_mode cfr -r {over}/{under} -threads 1 -c:v mpeg1video -bf 0 \
         -g 12 -b:v {} -strict unofficial -flags low_delay -flush_packets 1 -f avi pipe:1",
        options.bitrate
    );
    let mut arguments = vec!["-vf".to_owned(), filter];
    arguments.extend(fixed.split_whitespace().map(str::to_owned));
    arguments
}

/// Returns the filter that removes the row padding of raw pictures, with a trailing comma.
pub fn crop(frame: &Frame) -> Option<String> {
    let (width, height) = frame.size.filter(|_| frame.codec == Codec::Yuv420p)?;
    let padded = raw_stride(frame.payload_len(), height) != width;
    padded.then(|| format!("crop={width}:{height}:0:0,"))
}

/// Returns the input arguments for native pictures as IVF on standard input, decoded with as
/// little delay as possible.
pub fn from_ivf(codec: Codec) -> Vec<String> {
    let name = match codec {
        Codec::H264 => "h264",
        Codec::H265 => "hevc",
        Codec::Jpeg => "mjpeg",
        Codec::Mpeg1 => "mpeg1video",
        Codec::Yuv420p => "rawvideo",
    };
    let arguments = "-threads 1 -flags low_delay -probesize 32 -analyzeduration 0 \
                     -protocol_whitelist pipe -f ivf -c:v";
    let mut arguments: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();
    arguments.extend([name.to_owned(), "-i".to_owned(), "pipe:0".to_owned()]);
    arguments
}

/// Returns the input arguments for an MPEG transport stream on standard input.
pub fn from_mpegts() -> Vec<String> {
    let arguments = "-threads 1 -flags low_delay -analyzeduration 1000000 \
                     -protocol_whitelist pipe -f mpegts -i pipe:0";
    arguments.split_whitespace().map(str::to_owned).collect()
}

/// Returns the IVF file header for pictures like `first`, with timestamps in milliseconds.
/// ffmpeg uses the header's codec and size only for raw pictures.
pub fn ivf_header(first: &Frame) -> [u8; 32] {
    let tag = match first.codec {
        Codec::H264 => b"H264",
        Codec::H265 => b"HEVC",
        Codec::Jpeg => b"MJPG",
        Codec::Mpeg1 => b"mpg1",
        Codec::Yuv420p => b"I420",
    };
    let mut header = [0; 32];
    header[..4].copy_from_slice(b"DKIF");
    header[6] = 32;
    header[8..12].copy_from_slice(tag);
    if let Some((width, height)) = first.size {
        let stride = match first.codec {
            Codec::Yuv420p => raw_stride(first.payload_len(), height),
            _ => width,
        };
        header[12..14].copy_from_slice(&stride.to_le_bytes());
        header[14..16].copy_from_slice(&height.to_le_bytes());
    }
    header[16..20].copy_from_slice(&1000u32.to_le_bytes());
    header[20..24].copy_from_slice(&1u32.to_le_bytes());
    header
}

/// Returns the frame header before each picture of an IVF file.
pub fn ivf_frame(len: usize, millis: u64) -> [u8; 12] {
    let mut header = [0; 12];
    header[..4].copy_from_slice(&(len as u32).to_le_bytes());
    header[4..].copy_from_slice(&millis.to_le_bytes());
    header
}

/// Publishes the pictures in an ffmpeg's SMJPEG output until the output ends. Returns whether
/// there were any. The reason for its end is in ffmpeg's standard error.
///
/// # Errors
/// ffmpeg writes more than a program's budget allows.
pub async fn publish(
    output: impl AsyncRead + Unpin,
    publisher: &Publisher,
) -> Result<bool, Failure> {
    let mut had_pictures = false;
    let mut pictures = Smjpeg::new(output, publisher.budget(PeerKind::Program));
    loop {
        let buffer = match pictures.next().await {
            Ok(Some((_, buffer))) => buffer,
            Ok(None) => return Ok(had_pictures),
            Err(error) => {
                let exceeded = BudgetExceeded::cause_of(&error);
                return exceeded.map_or(Ok(had_pictures), |exceeded| Err(exceeded.into()));
            }
        };
        if let Ok(picture) = jpeg::picture_in(buffer) {
            had_pictures = true;
            publisher.publish(picture);
        }
    }
}

/// Returns the failure of a child that ended unexpectedly.
pub async fn exit_failure(child: &mut Child, limits: &PictureLimits) -> Failure {
    let status = child.wait_or_kill().await;
    explain_stderr(&child.stderr_tail(), limits)
        .unwrap_or_else(|| Failure::new(FailureKind::Ended, exit_message("ffmpeg", status)))
}

/// Names the file or device in the failure of an ffmpeg that reads it.
pub fn name_file(failure: Failure, path: &str) -> Failure {
    let what = match path.starts_with("/dev/") {
        true => "device",
        false => "file",
    };
    let reason = match failure.reason.as_str() {
        NO_FILE => format!("there is no {what} {path}"),
        NO_PERMISSION => format!("no permission to read {path}"),
        _ => return failure,
    };
    Failure::new(failure.kind, reason)
}

/// Translates ffmpeg's last standard-error lines into a failure for the user.
pub fn explain_stderr(stderr_tail: &[String], limits: &PictureLimits) -> Option<Failure> {
    use FailureKind::{Ended, Missing, NotFound, Unauthorized, Unreachable, Unsupported};
    const MEANINGS: [(&str, FailureKind, &str); 26] = [
        ("non-existing PPS", Unsupported, NO_PARAMETER_SETS),
        ("non-existing SPS", Unsupported, NO_PARAMETER_SETS),
        ("PPS id out of range", Unsupported, NO_PARAMETER_SETS),
        (
            "401 Unauthorized",
            Unauthorized,
            "401: wrong user or password",
        ),
        (
            "authorization failed",
            Unauthorized,
            "401: wrong user or password",
        ),
        (
            "403 Forbidden",
            Unauthorized,
            "403: this user is not allowed to view the stream",
        ),
        (
            "404 Not Found",
            NotFound,
            "404: no such stream at this address",
        ),
        (
            "404 Stream Not Found",
            NotFound,
            "404: no such stream at this address",
        ),
        ("certificate failed verification", Unsupported, UNVERIFIED),
        ("certificate verify failed", Unsupported, UNVERIFIED),
        ("owner does not match hostname", Unsupported, OTHER_NAME),
        ("Connection refused", Unreachable, "connection refused"),
        ("No route to host", Unreachable, "no route to host"),
        (
            "Network is unreachable",
            Unreachable,
            "the network is unreachable",
        ),
        ("Connection timed out", Unreachable, "no answer"),
        ("Name or service not known", Unreachable, "no such host"),
        ("Failed to resolve hostname", Unreachable, "no such host"),
        (
            "Temporary failure in name resolution",
            Unreachable,
            "no such host",
        ),
        (
            "Protocol not found",
            Unsupported,
            "ffmpeg does not support this protocol",
        ),
        (
            "not on whitelist",
            Unsupported,
            "its address leads to a protocol that is not allowed",
        ),
        (
            "does not contain any stream",
            Unsupported,
            "the camera offers no video",
        ),
        (
            "matches no streams",
            Unsupported,
            "the camera offers no video",
        ),
        ("No such file or directory", Missing, NO_FILE),
        ("Permission denied", Missing, NO_PERMISSION),
        (
            "Invalid data found when processing input",
            Unsupported,
            "ffmpeg can't read what it sends",
        ),
        (
            "Cannot allocate memory",
            Unsupported,
            "its pictures need more memory than ffmpeg is allowed to use",
        ),
    ];
    let too_large = stderr_tail.iter().filter_map(|line| refused_size(line));
    if let Some(too_large) = too_large.filter_map(|size| limits.check(size).err()).next() {
        return Some(Failure::new(Unsupported, too_large.to_string()));
    }
    let as_failure = |line: &String| {
        let found = MEANINGS.iter().find(|(part, ..)| line.contains(part));
        found.map(|&(_, kind, reason)| Failure::new(kind, reason))
    };
    // The first known error is the cause; later ones are consequences.
    stderr_tail.iter().find_map(as_failure).or_else(|| {
        let first = stderr_tail.first()?;
        Some(Failure::new(
            Ended,
            format!("ffmpeg: {}", clean_line(first)),
        ))
    })
}

/// Parses the picture size from ffmpeg's refusal of a picture that is too large.
fn refused_size(line: &str) -> Option<(u32, u32)> {
    let (_, rest) = line.split_once("Picture size ")?;
    let (size, _) = rest.split_once(" exceeds specified max pixel count")?;
    let (width, height) = size.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// Removes the `[part @ 0x…]` prefixes and all secrets from a line of ffmpeg's output.
pub fn clean_line(line: &str) -> String {
    let mut rest = line.trim();
    while let Some(inner) = rest.strip_prefix('[')
        && let Some((part, after)) = inner.split_once("] ")
        && part.contains(" @ 0x")
    {
        rest = after;
    }
    redact(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_lines_become_reasons_without_secrets() {
        let limits = PictureLimits::default();
        let explain_stderr = |stderr_tail: &[String]| super::explain_stderr(stderr_tail, &limits);
        let reason = |line: &str| explain_stderr(&[line.to_owned()]).expect("a reason").reason;
        assert_eq!(
            reason(
                "[IMGUTILS @ 0x7ffd] Picture size 16000x16000 exceeds specified max pixel count \
                 41052672, see the documentation if you wish to increase it"
            ),
            "its picture is 16000x16000, and the limit is 8192x8192: picture_size in [limits]"
        );
        assert_eq!(
            reason("[rtsp @ 0x55ce] method DESCRIBE failed: 401 Unauthorized"),
            "401: wrong user or password"
        );
        assert_eq!(
            reason("[h264 @ 0x55ce] non-existing PPS 0 referenced"),
            NO_PARAMETER_SETS
        );
        assert_eq!(
            reason("[a @ 0x1] [b @ 0x2] Odd: 'x://u:hush@h/p': it is"),
            "ffmpeg: Odd: 'x://***@h/p': it is"
        );
        assert_eq!(reason("[not a part] x"), "ffmpeg: [not a part] x");
        assert!(explain_stderr(&[]).is_none());
    }
}
