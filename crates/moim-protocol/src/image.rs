//! A WebSocket frame as the bytes that go on the wire, built once and shared by all who get it (RFC 6455, section 5.2).
//! Not here: reading frames, handshakes, the closing handshake (`tokio-tungstenite`, in `moim-gateway`).

use bytes::Bytes;
use serde::Serialize;

use crate::CloseReason;

const OPCODE_TEXT: u8 = 0x1;
const OPCODE_BINARY: u8 = 0x2;
const OPCODE_CLOSE: u8 = 0x8;
const FINAL: u8 = 0x80;
/// The longest header of a server's frame: two bytes and a 64-bit length.
const HEADER_BYTES_MAX: usize = 10;

/// What kind of data a data frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramePayload {
    /// UTF-8 text.
    Text,
    /// Anything.
    Binary,
}

/// One encoded frame: header and JSON in one block. Cloning shares the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    image: Bytes,
    header: u8,
}

impl Frame {
    pub(crate) fn text<T: Serialize>(value: &T) -> Self {
        let mut block = vec![0; HEADER_BYTES_MAX];
        // Our own types have no map with keys that are not strings, and writing to a Vec cannot fail.
        serde_json::to_writer(&mut block, value).expect("our frames are always JSON");
        finish(OPCODE_TEXT, block)
    }

    /// Header and payload, as they go on the wire.
    #[must_use]
    pub fn image(&self) -> &Bytes {
        &self.image
    }

    /// The JSON alone, for transports that frame it in another way.
    #[must_use]
    pub fn json(&self) -> Bytes {
        self.image.slice(usize::from(self.header)..)
    }
}

/// Puts the header in front of a payload that starts at `HEADER_BYTES_MAX`, without moving the payload.
fn finish(opcode: u8, mut block: Vec<u8>) -> Frame {
    let length = block.len() - HEADER_BYTES_MAX;
    let mut header = [0; HEADER_BYTES_MAX];
    header[0] = FINAL | opcode;
    let size = match length {
        0..126 => {
            header[1] = length as u8;
            2
        }
        126..65_536 => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    let start = HEADER_BYTES_MAX - size;
    block[start..HEADER_BYTES_MAX].copy_from_slice(&header[..size]);
    // A shared block lives as long as its slowest reader: give back what the encoder grew too much.
    block.shrink_to_fit();
    Frame { image: Bytes::from(block).slice(start..), header: size as u8 }
}

/// A data frame around a payload that is already encoded.
#[must_use]
pub fn data_image(kind: FramePayload, payload: &[u8]) -> Bytes {
    let mut block = vec![0; HEADER_BYTES_MAX];
    block.extend_from_slice(payload);
    let opcode = match kind {
        FramePayload::Text => OPCODE_TEXT,
        FramePayload::Binary => OPCODE_BINARY,
    };
    finish(opcode, block).image
}

/// A ping without payload.
#[must_use]
pub fn ping_image() -> Bytes {
    Bytes::from_static(&[FINAL | 0x9, 0])
}

/// A close frame with the reason's code and text.
#[must_use]
pub fn close_image(reason: CloseReason) -> Bytes {
    let row = reason.row();
    let mut block = vec![0; HEADER_BYTES_MAX];
    block.extend_from_slice(&row.code.to_be_bytes());
    block.extend_from_slice(row.text.as_bytes());
    finish(OPCODE_CLOSE, block).image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_encoded_at_every_edge() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload = vec![b'x'; length];
            let image = data_image(FramePayload::Binary, &payload);
            assert_eq!(image.len(), header + length);
            assert_eq!(image[0], 0x82);
            assert_eq!(&image[header..], &payload[..]);
        }
        assert_eq!(data_image(FramePayload::Text, &[b'x'; 126])[1..4], [126, 0, 126]);
    }

    #[test]
    fn json_is_the_payload_without_the_header() {
        let frame = Frame::text(&"한글");
        assert_eq!(frame.json(), "\"한글\"".as_bytes());
        assert_eq!(frame.image()[0], 0x81);
    }

    #[test]
    fn close_carries_code_and_text() {
        let image = close_image(CloseReason::SlowReader);
        assert_eq!(&image[..4], &[0x88, 13, 0x03, 0xF5]);
        assert_eq!(&image[4..], b"slow reader");
    }
}
