//! RTSP session: SETUP, PLAY, keep-alive, and receiving pictures.

use super::answers;
use super::connection::{Item, SessionError};
use super::message::{Fault, Message, Start};
use super::sdp::{Description, Track};
use super::talk::{TeardownOnDrop, with_timeout};
use super::unpacker::Unpacker;
use retina::codec::{VideoFrame, VideoParameters};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Timeouts for the responses to SETUP and PLAY.
const SETUP_TIMEOUT: Duration = Duration::from_secs(5);
const PLAY_TIMEOUT: Duration = Duration::from_secs(8);

/// State of a session's keep-alive.
struct KeepAlive {
    ticks: Interval,
    /// A method that the camera is known to accept.
    method: &'static str,
    /// Whether the request was sent again because of a new challenge.
    again: bool,
}

/// A session, from DESCRIBE on.
pub struct Session {
    talk: TeardownOnDrop,
    description: Description,
    /// Control address for PLAY.
    control: String,
    /// Channel of the packets.
    channel: u8,
    unpacker: Option<Unpacker>,
    keep_alive: Option<KeepAlive>,
}

impl Session {
    /// Creates a session from the response to DESCRIBE.
    pub fn new(talk: TeardownOnDrop, description: Description, control: String) -> Self {
        Self {
            talk,
            description,
            control,
            channel: 0,
            unpacker: None,
            keep_alive: None,
        }
    }

    /// Returns the tracks that the camera offers.
    pub fn tracks(&self) -> &[Track] {
        &self.description.tracks
    }

    /// Returns the parameters of the video, once they are known.
    pub fn parameters(&self) -> Option<&VideoParameters> {
        self.unpacker.as_ref()?.parameters()
    }

    /// Returns the number of lost packets.
    pub fn lost(&self) -> u64 {
        self.unpacker.as_ref().map_or(0, Unpacker::lost)
    }

    /// Sets up a track, which must be video with a supported codec.
    ///
    /// # Errors
    /// The camera refuses it, or does not answer as it should.
    pub async fn set_up(&mut self, track: usize) -> Result<(), SessionError> {
        let track = self.description.tracks.get(track).cloned();
        let Some(track) = track else {
            return Err(SessionError::Unusable(
                "the camera offers no video".to_owned(),
            ));
        };
        self.unpacker = Unpacker::new(&track)?;
        let uri = match &track.control {
            Some(control) => answers::join(&self.talk.base, control),
            None => self.control.clone(),
        };
        let transport = [("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1".into())];
        let response =
            with_timeout(SETUP_TIMEOUT, self.talk.request("SETUP", &uri, &transport)).await?;
        if let Some(session) = response.header("Session") {
            let (name, timeout) = answers::session_and_timeout(session);
            self.talk.session = Some(name.to_owned());
            self.talk.timeout = timeout;
        }
        self.channel = answers::channel(response.header("Transport").unwrap_or_default())?;
        Ok(())
    }

    /// Starts playback of the track that was set up.
    ///
    /// # Errors
    /// The camera refuses it, or does not answer as it should.
    pub async fn play(&mut self) -> Result<(), SessionError> {
        let range = [("Range", "npt=0.000-".into())];
        with_timeout(
            PLAY_TIMEOUT,
            self.talk.request("PLAY", &self.control, &range),
        )
        .await?;
        let period = Duration::from_secs(self.talk.timeout) / 2;
        let mut ticks = interval_at(Instant::now() + period, period);
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
    pub async fn picture(&mut self) -> Result<VideoFrame, SessionError> {
        loop {
            let (Some(unpacker), Some(keep_alive)) = (&mut self.unpacker, &mut self.keep_alive)
            else {
                return Err(SessionError::Unusable(
                    "the camera offers no video".to_owned(),
                ));
            };
            if let Some(picture) = unpacker.pull()? {
                return Ok(picture);
            }
            tokio::select! {
                item = self.talk.connection.next() => match item.map_err(during_stream)? {
                    Item::Packet(channel, packet) if channel == self.channel => {
                        unpacker.push(self.talk.connection.bytes(packet))?;
                    }
                    // RTCP sender reports and other packets.
                    Item::Packet(..) => {}
                    Item::Message(message) => self.handle_message(&message)?,
                },
                _ = keep_alive.ticks.tick() => {
                    keep_alive.again = false;
                    self.keep_alive()?;
                }
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

/// Adapts a fault to the middle of a stream, where the camera is known to speak RTSP.
fn during_stream(error: SessionError) -> SessionError {
    match error {
        SessionError::Message(Fault::NotRtsp(_)) => SessionError::Unusable(
            "its stream contains data that is neither a packet nor an RTSP message".to_owned(),
        ),
        other => other,
    }
}
