//! WebSocket frames as a client reads and writes them, without a copy of what is read (RFC 6455, section 5.2).
//! Not here: the handshake (`handshake`), what a payload says (`ledger`).

use std::ops::Range;

/// A text frame.
pub(crate) const TEXT: u8 = 0x1;
/// A close frame.
pub(crate) const CLOSE: u8 = 0x8;
/// A ping.
pub(crate) const PING: u8 = 0x9;
/// A pong.
pub(crate) const PONG: u8 = 0xA;
/// Larger frames are a fault: neither side of any drill sends them.
const PAYLOAD_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Any mask will do: it protects proxies from scripts, and here is neither.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A whole frame at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// Where its payload is.
    pub(crate) payload: Range<usize>,
}

/// What no frame of ours looks like.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFrame {
    #[error("a fragment, or reserved bits, in first byte {0:#04x}")]
    First(u8),
    #[error("a payload of {0} bytes")]
    TooLong(u64),
}

/// Looks at the first frame; `None` when it is not all there.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>, BadFrame> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    if first & 0xF0 != 0x80 {
        return Err(BadFrame::First(first));
    }
    let (length, mut at) = match second & 0x7F {
        126 => match bytes.get(2..4) {
            Some(long) => (u64::from(u16::from_be_bytes([long[0], long[1]])), 4),
            None => return Ok(None),
        },
        127 => match bytes.get(2..10).and_then(|long| long.try_into().ok()) {
            Some(long) => (u64::from_be_bytes(long), 10),
            None => return Ok(None),
        },
        short => (u64::from(short), 2),
    };
    if length > PAYLOAD_BYTES_MAX {
        return Err(BadFrame::TooLong(length));
    }
    let mut mask = None;
    if second & 0x80 != 0 {
        let Some(key) = bytes.get(at..at + 4) else { return Ok(None) };
        mask = Some([key[0], key[1], key[2], key[3]]);
        at += 4;
    }
    let payload = at..at + length as usize;
    Ok((bytes.len() >= payload.end).then_some(Head { opcode: first & 0x0F, mask, payload }))
}

/// Takes a mask off, or puts it on.
pub(crate) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[index % 4];
    }
}

/// A frame as a client sends it.
pub(crate) fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(long as u16).to_be_bytes());
        }
        huge => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(huge as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    let start = frame.len();
    frame.extend_from_slice(payload);
    unmask(&mut frame[start..], MASK);
    frame
}

#[cfg(test)]
mod tests {
    use moim_protocol::{CloseReason, FramePayload, close_image, data_image, ping_image};

    use super::*;

    #[test]
    fn what_the_server_writes_is_read_at_every_edge_of_length() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let mut bytes = data_image(FramePayload::Text, &payload).to_vec();
            let whole = bytes.len();
            bytes.extend_from_slice(&ping_image());
            let first = head(&bytes).unwrap().unwrap();
            assert_eq!((first.opcode, first.mask), (TEXT, None));
            assert_eq!(&bytes[first.payload.clone()], &payload[..]);
            assert_eq!(first.payload.end, whole);
            let second = head(&bytes[whole..]).unwrap().unwrap();
            assert_eq!((second.opcode, second.payload), (PING, 2..2));
        }
    }

    #[test]
    fn a_frame_that_is_not_all_there_waits() {
        for length in [5, 300, 70_000] {
            let frame = client_frame(TEXT, &vec![b'x'; length]);
            for cut in (0..frame.len()).step_by(1 + length / 100).chain([frame.len() - 1]) {
                assert_eq!(head(&frame[..cut]), Ok(None), "{cut} of {length}");
            }
            assert!(head(&frame).unwrap().is_some());
        }
    }

    #[test]
    fn a_clients_frame_is_masked_and_unmasks_to_what_was_said() {
        for length in [0, 125, 126, 65_536] {
            let said: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let mut frame = client_frame(PONG, &said);
            let head = head(&frame).unwrap().unwrap();
            assert_eq!(head.opcode, PONG);
            let mask = head.mask.expect("clients mask");
            if length > 4 {
                assert_ne!(&frame[head.payload.clone()], &said[..]);
            }
            unmask(&mut frame[head.payload.clone()], mask);
            assert_eq!(&frame[head.payload], &said[..]);
        }
    }

    #[test]
    fn fragments_reserved_bits_and_absurd_lengths_are_faults() {
        assert_eq!(head(&[0x01, 0]), Err(BadFrame::First(0x01)));
        assert_eq!(head(&[0xC1, 0]), Err(BadFrame::First(0xC1)));
        let absurd = [0x81, 127, 0x7F, 0, 0, 0, 0, 0, 0, 0];
        assert!(matches!(head(&absurd), Err(BadFrame::TooLong(_))));
    }

    #[test]
    fn a_close_carries_its_code() {
        let image = close_image(CloseReason::SlowReader);
        let head = head(&image).unwrap().unwrap();
        assert_eq!(head.opcode, CLOSE);
        assert_eq!(&image[head.payload][..2], &1013u16.to_be_bytes());
    }
}
