//! Readers for ffmpeg's output containers: SMJPEG and AVI.

use crate::jpeg;
use ocelli_core::{Budget, FrameBuffer, Metered};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

/// The longest SMJPEG chunk, other than a picture, that is accepted.
const MAX_SMJPEG_CHUNK: u32 = 64 << 10;

/// SMJPEG reader that charges a budget.
pub struct Smjpeg<R> {
    input: BufReader<Metered<R>>,
    started: bool,
}

impl<R: AsyncRead + Unpin> Smjpeg<R> {
    /// Reads from `input`.
    pub fn new(input: R, budget: Budget) -> Self {
        Self {
            input: BufReader::new(Metered::new(input, budget)),
            started: false,
        }
    }

    /// Returns the next picture with its timestamp in milliseconds, or `None` at the end.
    ///
    /// # Errors
    /// The input is cut off or is not SMJPEG.
    pub async fn next(&mut self) -> io::Result<Option<(u32, FrameBuffer)>> {
        if !self.started {
            let mut magic = [0; 16];
            self.input.read_exact(&mut magic).await?;
            if magic[..8] != *b"\0\nSMJPEG" {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.started = true;
        }
        loop {
            let mut tag = [0; 4];
            self.input.read_exact(&mut tag).await?;
            self.input.get_mut().budget().charge_messages(1);
            match &tag {
                b"HEND" => {}
                b"DONE" => return Ok(None),
                b"_TXT" | b"_VID" | b"_SND" => {
                    let len = self.input.read_u32().await?;
                    if len > MAX_SMJPEG_CHUNK {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    let mut chunk = (&mut self.input).take(u64::from(len));
                    tokio::io::copy(&mut chunk, &mut tokio::io::sink()).await?;
                }
                b"vidD" => {
                    let millis = self.input.read_u32().await?;
                    let len = self.input.read_u32().await? as usize;
                    if len > jpeg::MAX_BYTES {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    let buffer = read_picture(&mut self.input, len).await?;
                    return Ok(Some((millis, buffer)));
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// AVI reader that charges a budget. It reads a file with one stream while the file is being
/// written.
pub struct Avi<R> {
    input: BufReader<Metered<R>>,
    started: bool,
}

/// The longest MPEG-1 picture that is accepted.
const MPEG1_LIMIT: usize = 4 << 20;

impl<R: AsyncRead + Unpin> Avi<R> {
    /// Reads from `input`.
    pub fn new(input: R, budget: Budget) -> Self {
        Self {
            input: BufReader::new(Metered::new(input, budget)),
            started: false,
        }
    }

    /// Returns the next picture.
    ///
    /// # Errors
    /// The input has ended or is not AVI.
    pub async fn next(&mut self) -> io::Result<FrameBuffer> {
        if !self.started {
            let mut magic = [0; 12];
            self.input.read_exact(&mut magic).await?;
            if magic[..4] != *b"RIFF" || magic[8..] != *b"AVI " {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.started = true;
        }
        loop {
            let mut tag = [0; 4];
            self.input.read_exact(&mut tag).await?;
            self.input.get_mut().budget().charge_messages(1);
            let mut len = self.input.read_u32_le().await? as usize;
            match &tag {
                b"00dc" | b"00db" if len == 0 => {}
                b"00dc" | b"00db" if len <= MPEG1_LIMIT => {
                    let buffer = read_picture(&mut self.input, len).await?;
                    if len % 2 == 1 {
                        self.input.read_u8().await?;
                    }
                    return Ok(buffer);
                }
                b"LIST" | b"JUNK" | b"idx1" => {
                    if tag == *b"LIST" {
                        let mut kind = [0; 4];
                        self.input.read_exact(&mut kind).await?;
                        // The pictures are in this list. Its length is not known yet.
                        if kind == *b"movi" {
                            continue;
                        }
                        len = len.saturating_sub(4);
                    }
                    let mut chunk = (&mut self.input).take((len + len % 2) as u64);
                    tokio::io::copy(&mut chunk, &mut tokio::io::sink()).await?;
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// Reads a picture of this length. Memory is touched only as bytes arrive.
async fn read_picture(input: &mut (impl AsyncRead + Unpin), len: usize) -> io::Result<FrameBuffer> {
    let mut buffer = FrameBuffer::with_capacity(len);
    while buffer.len() < len {
        if input.read_buf(&mut buffer.missing(len)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_core::PeerKind;

    fn budget() -> Budget {
        ocelli_core::Budgets::default().budget(PeerKind::Program)
    }

    #[tokio::test]
    async fn smjpeg_chunks_other_than_pictures_are_skipped() {
        let mut stream = b"\0\nSMJPEG\0\0\0\0\0\0\0\0_TXT\0\0\0\x03abc".to_vec();
        stream.extend(b"_VID\0\0\0\x0c0123456789abHENDvidD\0\0\x13\x88\0\0\0\x04jpeg");
        stream.extend(b"vidD\0\0\x13\x89\0\0\0\0DONE");
        let mut reader = Smjpeg::new(&stream[..], budget());
        let (millis, picture) = reader.next().await.expect("SMJPEG").expect("a picture");
        assert_eq!((millis, picture.payload()), (5000, &b"jpeg"[..]));
        let (millis, picture) = reader.next().await.expect("SMJPEG").expect("a picture");
        assert_eq!((millis, picture.len()), (5001, 0));
        assert!(reader.next().await.expect("SMJPEG").is_none());
        assert!(reader.next().await.is_err());
    }

    #[tokio::test]
    async fn invalid_smjpeg_is_an_error() {
        for bad in [
            &b"\0\nSMJPEX\0\0\0\0\0\0\0\0"[..],
            b"\0\nSMJPEG\0\0\0\0\0\0\0\0what",
            b"\0\nSMJPEG\0\0\0\0\0\0\0\0vidD\0\0\0\0\xff\xff\xff\xff",
            b"\0\nSMJPEG\0\0\0\0\0\0\0\0_TXT\0\x01\0\x01",
        ] {
            assert!(Smjpeg::new(bad, budget()).next().await.is_err(), "{bad:?}");
        }
    }
}
