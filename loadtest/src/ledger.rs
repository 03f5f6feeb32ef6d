//! What was said and who has heard it: every member hears every message exactly once, in order, letter for letter.
//! Not here: sockets (`fleet`), the splice of history on a join (`scenario::join_storm`).

use crate::fault::Fault;

const MARK: &[u8] = b"\"content\":\"";
const MESSAGE: &[u8] = b"{\"type\":\"message\"";
const INDEX_DIGITS: usize = 8;
/// Shorter messages could not carry their number.
pub(crate) const MESSAGE_BYTES_MIN: usize = 16;

/// Messages that are not random but look it: each starts with its number, the rest follows from the seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) bytes: usize,
}

impl Script {
    /// The message of that number.
    pub(crate) fn line(&self, index: u32) -> String {
        let mut line = format!("{index:0INDEX_DIGITS$x}");
        let mut state = self.seed ^ (u64::from(index) << 20);
        while line.len() < self.bytes {
            state = splitmix(state);
            line.push(char::from(b'a' + (state % 26) as u8));
        }
        line
    }
}

/// One step of splitmix64: enough to fill text.
fn splitmix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The content of a `message` frame; `None` of any other frame. Looks instead of parsing: at 160,000 frames a second the
/// client must stay lighter than the server it measures.
pub(crate) fn content_of(payload: &[u8]) -> Option<&[u8]> {
    let rest = payload.strip_prefix(MESSAGE)?;
    let start = rest.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let length = rest[start..].iter().position(|byte| *byte == b'"')?;
    Some(&rest[start..start + length])
}

/// The books of one room.
pub(crate) struct Ledger {
    lines: Vec<String>,
    /// By member: the number it must hear next.
    next: Vec<u32>,
    heard: u64,
}

impl Ledger {
    /// A room of so many members.
    pub(crate) fn new(members: usize) -> Self {
        Self { lines: Vec::new(), next: vec![0; members], heard: 0 }
    }

    /// Writes down what will be said next; answers its numbers.
    pub(crate) fn say(&mut self, script: Script, count: u32) -> std::ops::Range<u32> {
        let first = self.lines.len() as u32;
        self.lines.extend((first..first + count).map(|index| script.line(index)));
        first..first + count
    }

    pub(crate) fn line(&self, index: u32) -> &str {
        &self.lines[index as usize]
    }

    /// A member heard this; answers its number.
    pub(crate) fn hear(&mut self, member: usize, content: &[u8]) -> Result<u32, Fault> {
        let next = self.next[member];
        let wanted = self.lines.get(next as usize).map(String::as_bytes);
        if wanted != Some(content) {
            let content = String::from_utf8_lossy(content);
            let short: String = content.chars().take(40).collect();
            return Err(Fault::wrong(format!(
                "member {member} heard \"{short}…\" where message {next:0INDEX_DIGITS$x} was next: \
                 lost, repeated, out of order or changed"
            )));
        }
        self.next[member] += 1;
        self.heard += 1;
        Ok(next)
    }

    /// How often something was heard.
    pub(crate) fn heard(&self) -> u64 {
        self.heard
    }

    /// Whether every member has heard everything.
    pub(crate) fn is_complete(&self) -> bool {
        self.heard == self.lines.len() as u64 * self.next.len() as u64
    }

    /// Who misses how much, for a message to people.
    pub(crate) fn missing(&self) -> String {
        let said = self.lines.len() as u32;
        let behind = self.next.iter().filter(|next| **next < said).count();
        let missing = || self.next.iter().map(|next| said - next);
        let (least, most) = (missing().min().unwrap_or(0), missing().max().unwrap_or(0));
        format!("{behind} of {} members miss {least} to {most} of {said} messages", self.next.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Script = Script { seed: 7, bytes: 64 };

    #[test]
    fn lines_have_their_length_and_differ_by_seed_and_number() {
        let line = SCRIPT.line(3);
        assert_eq!(line.len(), 64);
        assert!(line.starts_with("00000003"));
        assert_eq!(line, SCRIPT.line(3));
        assert_ne!(line[8..], SCRIPT.line(4)[8..]);
        assert_ne!(line[8..], Script { seed: 8, ..SCRIPT }.line(3)[8..]);
    }

    #[test]
    fn content_is_found_in_messages_only() {
        let message = br#"{"type":"message","room":"r","username":"a","content":"hello","seq":1}"#;
        assert_eq!(content_of(message), Some(&b"hello"[..]));
        assert_eq!(content_of(br#"{"type":"system","content":"hello"}"#), None);
        assert_eq!(content_of(br#"{"type":"message","content":"cut"#), None);
    }

    #[test]
    fn lost_repeated_swapped_and_changed_messages_are_told() {
        let heard = |order: &[u32], change: bool| {
            let mut ledger = Ledger::new(1);
            ledger.say(SCRIPT, 3);
            for index in order {
                let mut line = ledger.line(*index).to_owned();
                if change {
                    line.replace_range(20..21, "!");
                }
                ledger.hear(0, line.as_bytes())?;
            }
            Ok::<_, Fault>(ledger.is_complete())
        };
        assert!(heard(&[0, 1, 2], false).unwrap());
        assert!(!heard(&[0, 1], false).unwrap());
        for wrong in [&[0, 2][..], &[0, 0], &[1, 0], &[0, 1, 2, 2]] {
            assert!(heard(wrong, false).is_err(), "{wrong:?}");
        }
        assert!(heard(&[0], true).is_err());
    }

    #[test]
    fn it_is_complete_when_each_member_is() {
        let mut ledger = Ledger::new(2);
        assert_eq!(ledger.say(SCRIPT, 1), 0..1);
        let line = ledger.line(0).to_owned();
        ledger.hear(0, line.as_bytes()).unwrap();
        assert!(!ledger.is_complete());
        assert_eq!(ledger.missing(), "1 of 2 members miss 0 to 1 of 1 messages");
        ledger.hear(1, line.as_bytes()).unwrap();
        assert!(ledger.is_complete());
        assert_eq!(ledger.say(SCRIPT, 2), 1..3);
        assert!(!ledger.is_complete());
    }
}
