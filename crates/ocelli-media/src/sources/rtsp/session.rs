//! RTSP session: SETUP, PLAY, keep-alive, and receiving pictures and sound.

use super::super::{REFUSED, SsrfGuard};
use super::answers;
use super::datagrams::{Datagrams, foreign_packets};
use super::error::SessionError;
use super::input::{Flow, Item};
use super::message::{Message, Start, quoted, value};
use super::rtcp::SenderReport;
use super::sdp::{Description, Track};
use super::sound_packets::{SoundPackets, Unit};
use super::talk::{TeardownOnDrop, with_timeout};
use super::unpacker::{Picture, Unpacker};
use ocelli_core::SoundFormat;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

/// Timeouts for the responses to SETUP and PLAY.
const SETUP_TIMEOUT: Duration = Duration::from_secs(5);
const PLAY_TIMEOUT: Duration = Duration::from_secs(8);
/// Timeout for the response to SETUP of the sound.
const SOUND_TIMEOUT: Duration = Duration::from_secs(3);
/// A sender report that is older than this is not used.
const MAX_REPORT_AGE: Duration = Duration::from_secs(300);
/// Timeout for the first packet over UDP.
const FIRST_DATAGRAM: Duration = Duration::from_secs(8);
/// The reason if none arrives.
const BLOCKED: &str = "it accepts playback over UDP, but no packet arrives; a firewall between \
     the camera and the hub may block UDP";

/// State of a session's keep-alive.
struct KeepAlive {
    ticks: Interval,
    /// A method that the camera is known to accept.
    method: &'static str,
    /// Whether the request was sent again because of a new challenge.
    again: bool,
}

/// How RTP is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the RTSP connection.
    Tcp,
    /// In datagrams to the hub.
    Udp,
    /// In datagrams to a group that the hub joins.
    Multicast,
}

/// What a camera has sent.
#[derive(Debug)]
pub enum Received {
    /// A complete picture.
    Picture(Picture),
    /// A packet that completes no picture.
    Packet,
    /// A unit of sound.
    Sound(Unit),
}

/// The sound of a session.
struct Sound {
    /// Channel of its packets, if they are sent over TCP.
    channel: Option<u8>,
    packets: SoundPackets,
    report: Option<Report>,
}

/// A sender report, and when it arrived.
type Report = (SenderReport, Instant);

/// A session, from DESCRIBE on.
pub struct Session {
    talk: TeardownOnDrop,
    description: Description,
    /// Control address for PLAY.
    control: String,
    /// Guard for the addresses that the camera names.
    ssrf_guard: SsrfGuard,
    /// Channel of the packets.
    channel: u8,
    unpacker: Option<Unpacker>,
    /// The last sender report of the pictures.
    report: Option<Report>,
    sound: Option<Sound>,
    keep_alive: Option<KeepAlive>,
    /// When the first packet over UDP must have arrived.
    first_datagram: Option<Instant>,
    /// Whether a packet has arrived whose arrival was not returned yet.
    has_news: bool,
}

impl Session {
    /// Creates a session from the response to DESCRIBE.
    pub fn new(talk: TeardownOnDrop, description: Description, control: String) -> Self {
        Self {
            talk,
            description,
            control,
            ssrf_guard: SsrfGuard::disabled(),
            channel: 0,
            unpacker: None,
            report: None,
            sound: None,
            keep_alive: None,
            first_datagram: None,
            has_news: false,
        }
    }

    /// Sets the guard for the addresses that the camera names.
    pub fn restrict(&mut self, ssrf_guard: SsrfGuard) {
        self.ssrf_guard = ssrf_guard;
    }

    /// Returns the tracks that the camera offers.
    pub fn tracks(&self) -> &[Track] {
        &self.description.tracks
    }

    /// Returns the track to play: the first video with a supported codec.
    ///
    /// # Errors
    /// The camera offers no such track.
    pub fn track(&self) -> Result<&Track, SessionError> {
        let videos = || self.tracks().iter().filter(|track| track.media == "video");
        if let Some(track) = videos().find(|track| track.codec().is_some()) {
            return Ok(track);
        }
        Err(match videos().next() {
            Some(other) => SessionError::Codec(quoted(&other.encoding.to_uppercase())),
            None => SessionError::Unusable(self.description.without_video()),
        })
    }

    /// Returns true if a decoder has all parameter sets that it needs.
    pub fn is_decodable(&self) -> bool {
        self.unpacker.as_ref().is_some_and(Unpacker::is_decodable)
    }

    /// Returns the size of the pictures from the parameter sets, if known.
    pub fn size(&self) -> Option<(u16, u16)> {
        self.unpacker.as_ref()?.size()
    }

    /// Returns the number of lost packets.
    pub fn lost(&self) -> u64 {
        self.unpacker.as_ref().map_or(0, Unpacker::lost)
    }

    /// Returns how the packets are sent.
    pub fn delivery(&self) -> Delivery {
        match &self.talk.connection.datagrams {
            Some(datagrams) if datagrams.is_group() => Delivery::Multicast,
            Some(_) => Delivery::Udp,
            None => Delivery::Tcp,
        }
    }

    /// Sets up the track to play.
    ///
    /// # Errors
    /// There is no such track, or the camera refuses it or does not answer as it should.
    pub async fn set_up(&mut self, delivery: Delivery) -> Result<(), SessionError> {
        let track = self.track()?.clone();
        self.unpacker = Unpacker::new(&track)?;
        let uri = match &track.control {
            Some(control) => answers::join(&self.talk.base, control),
            None => self.control.clone(),
        };
        let transport = match delivery {
            Delivery::Tcp => "RTP/AVP/TCP;unicast;interleaved=0-1".to_owned(),
            Delivery::Udp => {
                let (rtp, rtcp) = self.talk.connection.open_datagrams()?;
                format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}")
            }
            Delivery::Multicast => "RTP/AVP;multicast".to_owned(),
        };
        let header = [("Transport", value(transport))];
        let response =
            with_timeout(SETUP_TIMEOUT, self.talk.request("SETUP", &uri, &header)).await?;
        if let Some(session) = response.header("Session") {
            let (name, timeout) = answers::session_and_timeout(session);
            self.talk.session = Some(name.to_owned());
            self.talk.timeout = timeout;
        }
        let transport = response.header("Transport").unwrap_or_default();
        let source = answers::source(transport);
        let is_allowed = |ip: &IpAddr| self.ssrf_guard.allows(SocketAddr::new(*ip, 0));
        match delivery {
            Delivery::Tcp => {
                self.channel = answers::channel(transport, 0)?;
                if let Some(unpacker) = &mut self.unpacker {
                    unpacker.note_connection();
                }
            }
            Delivery::Udp => {
                let ports = answers::server_ports(transport)?;
                if let Some(datagrams) = &mut self.talk.connection.datagrams {
                    datagrams.accept(source.filter(is_allowed));
                    ports.into_iter().for_each(|ports| datagrams.aim(ports));
                }
            }
            Delivery::Multicast => {
                let (group, port) = answers::group(transport)?;
                if !is_allowed(&group.into()) {
                    return Err(SessionError::Unusable(format!(
                        "it sends RTP only by multicast: {REFUSED}"
                    )));
                }
                let datagrams = self.talk.connection.join_group(group, port)?;
                datagrams.accept(source.filter(is_allowed));
            }
        }
        Ok(())
    }

    /// Sets up the first track with sound that can be passed on, if there is one. A camera that
    /// refuses it is played without sound.
    ///
    /// # Errors
    /// The connection can't be used any more.
    pub async fn set_up_sound(&mut self) -> Result<(), SessionError> {
        let offered = self.tracks().iter().find_map(|track| {
            let packets = SoundPackets::new(track)?;
            Some((track.control.clone(), packets))
        });
        // With the address of the pictures, it would be these that are set up again.
        let pictures = self.track()?.control.as_ref();
        let Some((Some(control), packets)) = offered else {
            return Ok(());
        };
        if pictures == Some(&control) {
            return Ok(());
        }
        let uri = answers::join(&self.talk.base, &control);
        let free_channel = if self.channel < 2 { 2 } else { 0 };
        let delivery = self.delivery();
        let transport = match delivery {
            Delivery::Tcp => format!(
                "RTP/AVP/TCP;unicast;interleaved={free_channel}-{}",
                free_channel + 1
            ),
            Delivery::Udp => match self.talk.connection.open_sound_datagrams() {
                Ok((rtp, rtcp)) => format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}"),
                Err(_) => return Ok(()),
            },
            // Joining a second group is not worth it.
            Delivery::Multicast => return Ok(()),
        };
        let header = [("Transport", value(transport))];
        let response = with_timeout(SOUND_TIMEOUT, self.talk.request("SETUP", &uri, &header)).await;
        let response = match response {
            Ok(response) => response,
            Err(
                fault @ (SessionError::Closed
                | SessionError::Io(_)
                | SessionError::Silent
                | SessionError::Message(_)
                | SessionError::BudgetExceeded(_)),
            ) => return Err(fault),
            Err(fault) => {
                tracing::debug!(?fault, "the camera refuses to send its sound");
                self.talk.connection.sound_datagrams = None;
                return Ok(());
            }
        };
        let transport = response.header("Transport").unwrap_or_default();
        let channel = match delivery {
            Delivery::Tcp => match answers::channel(transport, free_channel) {
                Ok(channel) if channel != self.channel => Some(channel),
                // Its packets can't be told from others, or are sent in another way.
                _ => return Ok(()),
            },
            _ => {
                let Ok(ports) = answers::server_ports(transport) else {
                    self.talk.connection.sound_datagrams = None;
                    return Ok(());
                };
                let source = answers::source(transport);
                let source = source.filter(|ip| self.ssrf_guard.allows(SocketAddr::new(*ip, 0)));
                if let Some(datagrams) = &mut self.talk.connection.sound_datagrams {
                    datagrams.accept(source);
                    ports.into_iter().for_each(|ports| datagrams.aim(ports));
                }
                None
            }
        };
        self.sound = Some(Sound {
            channel,
            packets,
            report: None,
        });
        Ok(())
    }

    /// Returns the format of the sound, if it was set up.
    pub fn sound_format(&self) -> Option<&SoundFormat> {
        self.sound.as_ref().map(|sound| sound.packets.format())
    }

    /// Returns the ticks of the sound's clock a second.
    pub fn sound_clock_rate(&self) -> u32 {
        let sound = self.sound.as_ref();
        sound.map_or(1, |sound| sound.packets.clock_rate())
    }

    /// Returns the difference between the times of sound and of pictures that were recorded at
    /// the same moment, in µs since the first packet of each, according to the camera's sender
    /// reports; `None` without these.
    pub fn sound_offset(&self) -> Option<i64> {
        let (sound, unpacker) = (self.sound.as_ref()?, self.unpacker.as_ref()?);
        let usable = |report: Option<Report>| {
            let (report, arrived) = report?;
            (arrived.elapsed() < MAX_REPORT_AGE).then_some(report)
        };
        let begin = |report: SenderReport, elapsed: i64, rate: u32| {
            let micros = i128::from(elapsed) * 1_000_000 / i128::from(rate.max(1));
            report.time - micros as i64
        };
        let (of_pictures, of_sound) = (usable(self.report)?, usable(sound.report)?);
        let elapsed = unpacker.elapsed_at(of_pictures.stamp)?;
        let pictures_began = begin(of_pictures, elapsed, unpacker.clock_rate());
        let elapsed = sound.packets.elapsed_at(of_sound.stamp)?;
        let sound_began = begin(of_sound, elapsed, sound.packets.clock_rate());
        Some(sound_began - pictures_began)
    }

    /// Starts playback of the track that was set up.
    ///
    /// # Errors
    /// The camera refuses it, or does not answer as it should.
    pub async fn play(&mut self) -> Result<(), SessionError> {
        let range = [("Range", value("npt=0.000-"))];
        with_timeout(
            PLAY_TIMEOUT,
            self.talk.request("PLAY", &self.control, &range),
        )
        .await?;
        self.talk.connection.begin_stream();
        let now = Instant::now();
        if self.delivery() != Delivery::Tcp {
            self.first_datagram = Some(now + FIRST_DATAGRAM);
        }
        let period = Duration::from_secs(self.talk.timeout) / 2;
        let mut ticks = interval_at(now + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.keep_alive = Some(KeepAlive {
            ticks,
            method: "OPTIONS",
            again: false,
        });
        Ok(())
    }

    /// Returns the next picture. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The camera ends the session, or sends data that can't be used.
    pub async fn picture(&mut self) -> Result<Picture, SessionError> {
        loop {
            if let Received::Picture(picture) = self.receive().await? {
                return Ok(picture);
            }
        }
    }

    /// Returns what the camera sends next. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The camera ends the session, or sends data that can't be used.
    pub async fn receive(&mut self) -> Result<Received, SessionError> {
        loop {
            let (Some(unpacker), Some(keep_alive)) = (&mut self.unpacker, &mut self.keep_alive)
            else {
                return Err(SessionError::Unusable(
                    "the camera offers no video".to_owned(),
                ));
            };
            let news = std::mem::take(&mut self.has_news);
            if let Some(picture) = unpacker.pull()? {
                return Ok(Received::Picture(picture));
            }
            if news {
                return Ok(Received::Packet);
            }
            if let Some(sound) = &mut self.sound
                && let Some(unit) = sound.packets.pull()
            {
                return Ok(Received::Sound(unit));
            }
            // What happens next without the camera: a missing packet is given up, or the first one
            // is.
            let due = unpacker.due().or(self.first_datagram);
            let connection = &mut self.talk.connection;
            let item = tokio::select! {
                item = connection.next() => item,
                () = until(due) => {
                    if self.first_datagram.is_some_and(|due| due <= Instant::now()) {
                        let stranger = connection.datagrams.as_ref().and_then(Datagrams::stranger);
                        let reason = stranger.map_or_else(|| BLOCKED.to_owned(), foreign_packets);
                        return Err(SessionError::Unusable(reason));
                    }
                    continue;
                }
                _ = keep_alive.ticks.tick() => {
                    keep_alive.again = false;
                    self.keep_alive()?;
                    continue;
                }
            };
            let (flow, packet) = match item? {
                Item::Packet(channel, packet) => {
                    let sound = self.sound.as_ref().and_then(|sound| sound.channel);
                    let is_report_of = |of: u8| channel == of.wrapping_add(1);
                    let flow = if channel == self.channel {
                        Flow::Pictures
                    } else if sound == Some(channel) {
                        Flow::Sound
                    } else if is_report_of(self.channel) {
                        Flow::PictureReports
                    } else if sound.is_some_and(is_report_of) {
                        Flow::SoundReports
                    } else {
                        continue;
                    };
                    (flow, connection.bytes(packet))
                }
                Item::Datagram(flow, len) => (flow, connection.datagram(flow, len)),
                Item::Message(message) => {
                    self.handle_message(&message)?;
                    continue;
                }
            };
            let now = Instant::now();
            let report = |packet| SenderReport::parse(packet).map(|report| (report, now));
            match (flow, &mut self.sound) {
                (Flow::Pictures, _) => {
                    self.first_datagram = None;
                    self.has_news = unpacker.push(packet)?;
                }
                (Flow::PictureReports, _) => self.report = report(packet).or(self.report),
                (Flow::Sound, Some(sound)) => sound.packets.push(packet),
                (Flow::SoundReports, Some(sound)) => {
                    sound.report = report(packet).or(sound.report);
                }
                (Flow::Sound | Flow::SoundReports, None) => {}
            }
            let both = [&mut connection.datagrams, &mut connection.sound_datagrams];
            for datagrams in both.into_iter().flatten() {
                datagrams.report_when_due();
            }
        }
    }

    fn keep_alive(&mut self) -> Result<(), SessionError> {
        let Some(keep_alive) = &self.keep_alive else {
            return Ok(());
        };
        // A camera that does not read may still send pictures.
        if self.talk.connection.is_flushed() {
            let uri = self.talk.base.to_string();
            let (sequence, _) = self.talk.send(keep_alive.method, &uri, &[])?;
            self.talk.unanswered = Some(sequence);
        }
        Ok(())
    }

    /// Handles a message during playback. A refused keep-alive does not end the session.
    fn handle_message(&mut self, message: &Message) -> Result<(), SessionError> {
        let Some(keep_alive) = &mut self.keep_alive else {
            return Ok(());
        };
        match message.start {
            Start::Request(_) => return self.talk.reply(message),
            Start::Answer(200) if keep_alive.method == "OPTIONS" => {
                // Some cameras announce SET_PARAMETER and then refuse it. No camera is known
                // to do so with GET_PARAMETER.
                let public: Vec<_> = message
                    .headers("Public")
                    .flat_map(|value| value.split(','))
                    .map(str::trim)
                    .collect();
                let methods = ["GET_PARAMETER", "SET_PARAMETER"];
                if let Some(method) = methods.into_iter().find(|method| public.contains(method)) {
                    keep_alive.method = method;
                }
            }
            Start::Answer(401)
                if !keep_alive.again && self.talk.signer.challenged(message, true).is_ok() =>
            {
                keep_alive.again = true;
                return self.keep_alive();
            }
            Start::Answer(_) => {}
        }
        self.talk.unanswered = None;
        Ok(())
    }
}

/// Waits until this time, if there is one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
