//! Answers of common makers' RTSP cameras, written after what is publicly known of them.

use crate::rtsp_media::SPROP;
use crate::rtsp_script::Script;

/// The answers of one maker's camera: headers and session description for DESCRIBE, headers for
/// SETUP and PLAY. Placeholders are those of [`Script::reply`]; `{sprop}` stands for the
/// parameter sets.
#[derive(Clone, Copy, Debug)]
pub struct Maker {
    /// The maker.
    pub name: &'static str,
    describe: &'static str,
    sdp: &'static str,
    set_up: &'static str,
    play: &'static str,
    /// The payload type of its video.
    pub payload_type: u8,
    /// The channel on which its video comes.
    pub channel: u8,
}

impl Maker {
    /// Returns the script of this camera up to the response to PLAY.
    pub fn script(&self) -> Script {
        let lines = |text: &str| text.replace('\n', "\r\n").replace("{sprop}", SPROP);
        let head = |extra: &str| format!("RTSP/1.0 200 OK\r\n{}\r\n", lines(extra));
        Script::new()
            .answer("DESCRIBE", head(self.describe) + &lines(self.sdp))
            .answer("SETUP", head(self.set_up))
            .answer("PLAY", head(self.play))
    }
}

/// All makers.
pub const MAKERS: &[Maker] = &[
    Maker {
        name: "Hikvision",
        describe: "CSeq: {cseq}\nContent-Type: application/sdp\nContent-Base: rtsp://{address}/live/\n\
                   Content-Length: {length}\n",
        sdp: "v=0\no=- 1273580251173374 1273580251173374 IN IP4 192.168.1.64\n\
              s=Media Presentation\ne=NONE\nb=AS:5050\nt=0 0\n\
              a=control:rtsp://{address}/live/?transportmode=unicast\nm=video 0 RTP/AVP 96\n\
              c=IN IP4 0.0.0.0\nb=AS:5000\na=recvonly\na=x-dimensions:64,48\n\
              a=control:rtsp://{address}/live/trackID=1?transportmode=unicast\n\
              a=rtpmap:96 H264/90000\n\
              a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets={sprop}\n\
              m=application 0 RTP/AVP 107\na=control:trackID=3\na=rtpmap:107 vnd.onvif.metadata/90000\n\
              a=Media_header:MEDIAINFO=494D4B48010200000400000100000000000000000000000081000000;\n\
              a=appversion:1.0\n",
        set_up: "CSeq: {cseq}\nSession:       1273580251;timeout=60\n\
                 Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00000007;mode=\"play\"\n\
                 Date:  Mon, Nov 30 2026 03:00:00 GMT\n",
        play: "CSeq: {cseq}\nSession:       1273580251\n\
               RTP-Info: url=rtsp://{address}/live/trackID=1?transportmode=unicast;seq=1000;rtptime=99000\n",
        payload_type: 96,
        channel: 0,
    },
    Maker {
        name: "Dahua and Amcrest",
        describe: "CSeq: {cseq}\nx-Accept-Dynamic-Rate: 1\nContent-Base: rtsp://{address}/live/\n\
                   Cache-Control: must-revalidate\nContent-Length: {length}\n\
                   Content-Type: application/sdp\n",
        sdp: "v=0\no=- 2252316049 2252316049 IN IP4 0.0.0.0\ns=RTSP Session/2.0\nc=IN IP4 0.0.0.0\n\
              t=0 0\na=control:*\na=range:npt=now-\na=packetization-supported:DH\n\
              a=rtppayload-supported:DH\nm=video 0 RTP/AVP 96\na=control:trackID=0\n\
              a=framerate:20.000000\na=rtpmap:96 H264/90000\n\
              a=fmtp:96 packetization-mode=1;profile-level-id=4D401F;sprop-parameter-sets={sprop}\n\
              a=recvonly\nm=audio 0 RTP/AVP 97\na=control:trackID=1\n\
              a=rtpmap:97 MPEG4-GENERIC/48000\na=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr\n\
              m=application 0 RTP/AVP 107\na=control:trackID=4\n\
              a=rtpmap:107 vnd.onvif.metadata/90000\n",
        set_up: "CSeq: {cseq}\nSession: 625315493568;timeout=60\n\
                 Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=7\nx-Dynamic-Rate: 1\n",
        play: "CSeq: {cseq}\nSession: 625315493568\nRTP-Info: url=trackID=0;seq=1000;rtptime=99000\n",
        payload_type: 96,
        channel: 0,
    },
    Maker {
        name: "Reolink",
        describe: "CSeq: {cseq}\nDate: Mon, Nov 30 2026 03:00:00 GMT\n\
                   Content-Base: rtsp://{address}/live/\nContent-Type: application/sdp\n\
                   Content-Length: {length}\n",
        sdp: "v=0\no=- 1607433314 1 IN IP4 192.168.1.20\ns=Session streamed by \"preview\"\n\
              i=h264Preview_01_main\nt=0 0\na=tool:LIVE555 Streaming Media v2013.04.08\n\
              a=type:broadcast\na=control:*\na=range:npt=now-\n\
              a=x-qt-text-nam:Session streamed by \"preview\"\na=x-qt-text-inf:h264Preview_01_main\n\
              m=video 0 RTP/AVP 96\nc=IN IP4 0.0.0.0\nb=AS:8192\na=rtpmap:96 H264/90000\n\
              a=range:npt=now-\n\
              a=fmtp:96 packetization-mode=1;profile-level-id=640033;sprop-parameter-sets={sprop}\n\
              a=recvonly\na=control:track1\nm=audio 0 RTP/AVP 97\nc=IN IP4 0.0.0.0\nb=AS:8192\n\
              a=rtpmap:97 MPEG4-GENERIC/16000\na=control:track2\n",
        set_up: "CSeq: {cseq}\nDate: Mon, Nov 30 2026 03:00:00 GMT\n\
                 Transport: RTP/AVP/TCP;unicast;destination=127.0.0.1;source=;interleaved=0-1\n\
                 Session: 2E2A2D7B;timeout=65\n",
        play: "CSeq: {cseq}\nDate: Mon, Nov 30 2026 03:00:00 GMT\nRange: npt=0.000-\n\
               Session: 2E2A2D7B\nRTP-Info: url=rtsp://{address}/live/track1;seq=0;rtptime=0\n",
        payload_type: 96,
        channel: 0,
    },
    Maker {
        name: "Axis",
        describe: "CSeq: {cseq}\nContent-Type: application/sdp\n\
                   Content-Base: rtsp://{address}/axis-media/media.amp/\n\
                   Server: GStreamer RTSP server\nDate: Mon, 30 Nov 2026 03:00:00 GMT\n\
                   Content-Length: {length}\n",
        sdp: "v=0\no=- 3188544 1 IN IP4 10.0.0.7\ns=Session streamed with GStreamer\ni=rtsp-server\n\
              t=0 0\na=tool:GStreamer\na=type:broadcast\na=range:npt=now-\n\
              a=control:rtsp://{address}/axis-media/media.amp?videocodec=h264\n\
              m=video 0 RTP/AVP 96\nc=IN IP4 0.0.0.0\nb=AS:50000\na=rtpmap:96 H264/90000\n\
              a=fmtp:96 packetization-mode=1;profile-level-id=4d0029;sprop-parameter-sets={sprop}\n\
              a=ts-refclk:local\na=mediaclk:sender\na=recvonly\n\
              a=control:rtsp://{address}/axis-media/media.amp/stream=0?videocodec=h264\n\
              a=framesize:96 64-48\na=framerate:30.000000\n\
              a=transform:1.000000,0.000000,0.000000;0.000000,1.000000,0.000000;0.000000,0.000000,1.000000\n",
        set_up: "CSeq: {cseq}\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=2FA4C2D1;mode=\"PLAY\"\n\
                 Server: GStreamer RTSP server\nSession: rNw-Z6xTFKsm0LNc;timeout=60\n",
        play: "CSeq: {cseq}\n\
               RTP-Info: url=rtsp://{address}/axis-media/media.amp/stream=0?videocodec=h264;seq=1000;rtptime=99000\n\
               Range: npt=now-\nServer: GStreamer RTSP server\nSession: rNw-Z6xTFKsm0LNc;timeout=60\n",
        payload_type: 96,
        channel: 0,
    },
    Maker {
        name: "TP-Link Tapo",
        describe: "CSeq: {cseq}\nContent-Type: application/sdp\nContent-Base: rtsp://{address}/live/\n\
                   Content-Length: {length}\n",
        sdp: "v=0\no=- 14665860 31787219 1 IN IP4 192.168.1.60\n\
              s=Session streamed by \"TP-LINK RTSP Server\"\nt=0 0\na=smart_encoder:virtualIFrame=1\n\
              m=video 0 RTP/AVP 96\nc=IN IP4 0.0.0.0\nb=AS:4096\na=range:npt=0-\na=control:track1\n\
              a=rtpmap:96 H264/90000\n\
              a=fmtp:96 packetization-mode=1; profile-level-id=640016; sprop-parameter-sets={sprop}\n\
              m=audio 0 RTP/AVP 8\na=rtpmap:8 PCMA/8000\na=control:track2\n\
              m=application/TP-LINK 0 RTP/AVP smart/1/90000\na=rtpmap:95 TP-LINK/90000\n\
              a=control:track3\n",
        set_up: "CSeq: {cseq}\nTransport: RTP/AVP/TCP;unicast;destination=127.0.0.1;source=0.0.0.0;\
                 interleaved=0-1;ssrc=0x7\nSession: 7A5C90E5;timeout=60\n",
        play: "CSeq: {cseq}\nSession: 7A5C90E5\n",
        payload_type: 96,
        channel: 0,
    },
    Maker {
        name: "Foscam",
        describe: "Server: Hipcam RealServer/V1.0\nCseq: {cseq}\nContent-Type: application/sdp\n\
                   Content-Length: {length}\nContent-Base: rtsp://{address}/live/\n",
        sdp: "v=0\no=StreamingServer 3331435948 1116907222000 IN IP4 192.168.1.88\ns=IP Camera Video\n\
              i=videoMain\nt=0 0\na=tool:LIVE555 Streaming Media v2014.02.10\na=control:*\n\
              c=IN \nm=video 0 RTP/AVP 96\nb=AS:\na=rtpmap:96 H264/90000\n\
              a=fmtp:96 packetization-mode=1;profile-level-id=4D001F;sprop-parameter-sets={sprop}\n\
              a=control:trackID=0\n",
        set_up: "Server: Hipcam RealServer/V1.0\nCseq: {cseq}\nDate:\nSession:84209016;timeout=60\n\
                 Transport:RTP/AVP/TCP;unicast;interleaved=2-3\n",
        play: "Server: Hipcam RealServer/V1.0\nCseq: {cseq}\nSession: 84209016\n\
               RTP-Info: url=rtsp://{address}/live/trackID=0\n",
        payload_type: 96,
        channel: 2,
    },
    Maker {
        name: "Wyze",
        describe: "CSeq: {cseq}\nDate: Mon, Nov 30 2026 03:00:00 GMT\nContent-Base: rtsp://{address}/live/\n\
                   Content-Type: application/sdp\nContent-Length: {length}\n",
        sdp: "v=0\no=- 1575246215 1 IN IP4 192.168.1.40\ns=Session streamed by LIVE555\ni=live\n\
              t=0 0\na=tool:LIVE555 Streaming Media v2020.03.06\na=type:broadcast\na=control:*\n\
              a=range:npt=0-\na=x-qt-text-nam:Session streamed by LIVE555\na=x-qt-text-inf:live\n\
              m=video 0 RTP/AVP 96\nc=IN IP4 0.0.0.0\nb=AS:500\na=rtpmap:96 H264/90000\n\
              a=fmtp:96 packetization-mode=1;profile-level-id=4D001F;sprop-parameter-sets={sprop}\n\
              a=control:track1\nm=audio 0 RTP/AVP 97\nb=AS:256\na=rtpmap:97 L16/16000\n\
              a=control:track2\n",
        set_up: "CSeq: {cseq}\nDate: Mon, Nov 30 2026 03:00:00 GMT\n\
                 Transport: RTP/AVP/TCP;unicast;destination=127.0.0.1;source=127.0.0.1;interleaved=0-1\n\
                 Session: D3A1B2C4;timeout=65\n",
        play: "CSeq: {cseq}\nDate: Mon, Nov 30 2026 03:00:00 GMT\nRange: npt=0.000-\nSession: D3A1B2C4\n\
               RTP-Info: url=rtsp://{address}/live/track1;seq=1000;rtptime=99000\n",
        payload_type: 96,
        channel: 0,
    },
    Maker {
        name: "Ubiquiti",
        describe: "CSeq: {cseq}\nContent-Type: application/sdp\nContent-Base: rtsp://{address}/live/\n\
                   Content-Length: {length}\n",
        sdp: "v=0\no=- 3683093416 3683093416 IN IP4 127.0.0.1\ns=Ubiquiti Live\nc=IN IP4 127.0.0.1\n\
              t=0 0\na=recvonly\nm=audio 0 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/48000/1\n\
              a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;config=1188\n\
              a=control:trackID=1\nm=video 0 RTP/AVP 99\na=rtpmap:99 H264/90000\n\
              a=fmtp:99 profile-level-id=4d4028;packetization-mode=1;sprop-parameter-sets={sprop}\n\
              a=control:trackID=2\n",
        set_up: "CSeq: {cseq}\nSession: pTn3JqAa1W\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\n",
        play: "CSeq: {cseq}\nSession: pTn3JqAa1W\nRange: npt=now-\n",
        payload_type: 99,
        channel: 0,
    },
    Maker {
        name: "XM clone",
        describe: "Server: H264DVR 1.0\nCseq: {cseq}\nContent-Base: {address}/live/\n\
                   Content-Type: application/sdp\nContent-Length: {length}\n",
        sdp: "v=0\no=- 38990265062388 38990265062388 IN IP4 192.168.1.10\ns=RTSP Session\n\
              c=IN IP4 '&\nt=0 0\na=control:*\na=range:npt=0-\nm=video 0 RTP/AVP 96\n\
              a=rtpmap:96 H264/90000\na=range:npt=0-\na=framerate:0S\n\
              a=fmtp:96 profile-level-id=64001E;packetization-mode=1;sprop-parameter-sets={sprop}\n\
              a=framerate:25\na=control:trackID=3\n",
        set_up: "Server: H264DVR 1.0\nCseq: {cseq}\nSession: 12345678;timeout=60\n\
                 Transport: RTP/AVP/TCP;unicast;mode=PLAY;source=127.0.0.1;interleaved=0-1;ssrc=0000\n",
        play: "Server: H264DVR 1.0\nCseq: {cseq}\nSession: 12345678\nRange: npt=now-;\n\
               RTP-Info: url=trackID=3;seq=0;rtptime=0\n",
        payload_type: 96,
        channel: 0,
    },
];
