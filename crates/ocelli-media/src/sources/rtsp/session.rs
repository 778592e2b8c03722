//! A session with a camera: what it offers, SETUP and PLAY, and then its pictures.

use super::answers;
use super::connection::{Broken, Item};
use super::message::{Fault, Message, Start};
use super::sdp::{Description, Track};
use super::talk::{Polite, in_time};
use super::unpacker::Unpacker;
use retina::codec::{VideoFrame, VideoParameters};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// For the answer to each of them.
const SETUP: Duration = Duration::from_secs(5);
const PLAY: Duration = Duration::from_secs(8);

/// What keeps a session alive.
struct KeepAlive {
    ticks: Interval,
    /// What the camera is known to take.
    method: &'static str,
    /// It was sent again because of a new challenge.
    again: bool,
}

/// A session, from DESCRIBE on.
pub struct Session {
    talk: Polite,
    description: Description,
    /// What is played.
    control: String,
    /// On which the packets come.
    channel: u8,
    unpacker: Option<Unpacker>,
    keep_alive: Option<KeepAlive>,
}

impl Session {
    /// What DESCRIBE has told.
    pub fn new(talk: Polite, description: Description, control: String) -> Self {
        Self {
            talk,
            description,
            control,
            channel: 0,
            unpacker: None,
            keep_alive: None,
        }
    }

    /// What the camera offers.
    pub fn tracks(&self) -> &[Track] {
        &self.description.tracks
    }

    /// The parameters of the video that was set up, once they are known.
    pub fn parameters(&self) -> Option<&VideoParameters> {
        self.unpacker.as_ref()?.parameters()
    }

    /// How many packets did not come.
    pub fn lost(&self) -> u64 {
        self.unpacker.as_ref().map_or(0, Unpacker::lost)
    }

    /// Sets up a track: video of a codec that can be shown.
    ///
    /// # Errors
    /// The camera refuses it, or does not answer as it should.
    pub async fn set_up(&mut self, track: usize) -> Result<(), Broken> {
        let track = self.description.tracks.get(track).cloned();
        let Some(track) = track else {
            return Err(Broken::Unusable("the camera offers no video".to_owned()));
        };
        self.unpacker = Unpacker::new(&track)?;
        let uri = match &track.control {
            Some(control) => answers::join(&self.talk.base, control),
            None => self.control.clone(),
        };
        let transport = [("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1".into())];
        let answer = in_time(SETUP, self.talk.ask("SETUP", &uri, &transport)).await?;
        if let Some(session) = answer.header("Session") {
            let (name, timeout) = answers::session_and_timeout(session);
            self.talk.session = Some(name.to_owned());
            self.talk.timeout = timeout;
        }
        self.channel = answers::channel(answer.header("Transport").unwrap_or_default())?;
        Ok(())
    }

    /// Has the camera send what was set up.
    ///
    /// # Errors
    /// The camera refuses it, or does not answer as it should.
    pub async fn play(&mut self) -> Result<(), Broken> {
        let range = [("Range", "npt=0.000-".into())];
        in_time(PLAY, self.talk.ask("PLAY", &self.control, &range)).await?;
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

    /// The next picture of what plays. Nothing is lost if this is dropped.
    ///
    /// # Errors
    /// The camera ends it, or sends what can't be used.
    pub async fn picture(&mut self) -> Result<VideoFrame, Broken> {
        loop {
            let (Some(unpacker), Some(keep_alive)) = (&mut self.unpacker, &mut self.keep_alive)
            else {
                return Err(Broken::Unusable("the camera offers no video".to_owned()));
            };
            if let Some(picture) = unpacker.pull()? {
                return Ok(picture);
            }
            tokio::select! {
                item = self.talk.connection.next() => match item.map_err(amid)? {
                    Item::Packet(channel, packet) if channel == self.channel => {
                        unpacker.push(self.talk.connection.bytes(packet))?;
                    }
                    // Reports of the sender, and whatever else.
                    Item::Packet(..) => {}
                    Item::Message(message) => self.hear(&message)?,
                },
                _ = keep_alive.ticks.tick() => {
                    keep_alive.again = false;
                    self.keep_alive()?;
                }
            }
        }
    }

    fn keep_alive(&mut self) -> Result<(), Broken> {
        let Some(keep_alive) = &self.keep_alive else {
            return Ok(());
        };
        // A camera that does not read may yet send pictures.
        if self.talk.connection.is_flushed() {
            let uri = self.talk.base.to_string();
            let (sequence, _) = self.talk.send(keep_alive.method, &uri, &[])?;
            self.talk.unanswered = Some(sequence);
        }
        Ok(())
    }

    /// Takes what the camera says while it plays. That it does not like what keeps
    /// the session alive is no reason to end it.
    fn hear(&mut self, message: &Message) -> Result<(), Broken> {
        let Some(keep_alive) = &mut self.keep_alive else {
            return Ok(());
        };
        match message.start {
            Start::Request(_) => return self.talk.reply(message),
            Start::Answer(200) if keep_alive.method == "OPTIONS" => {
                // Cameras announce SET_PARAMETER and then refuse it; none is known
                // that does so with GET_PARAMETER.
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

/// What is wrong in the middle of a stream, of a camera that spoke RTSP until then.
fn amid(broken: Broken) -> Broken {
    match broken {
        Broken::Message(Fault::NotRtsp(_)) => Broken::Unusable(
            "in its stream it sends something that is neither a packet nor a message of RTSP"
                .to_owned(),
        ),
        other => other,
    }
}
