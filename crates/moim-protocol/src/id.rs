//! The names of things: rooms, people, messages, nodes, epochs.
//! Not here: positions in a room's log (`position`).

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::limits;

/// Why a text is not a valid name of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdFault {
    /// Nothing left where a name is needed.
    #[error("it is empty")]
    Empty,
    /// More characters (Unicode scalar values) than allowed.
    #[error("it has more than {0} characters")]
    TooLong(usize),
    /// Control characters cannot be shown and can forge log lines.
    #[error("it has a control character in it")]
    Control,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text that is known to be valid: from our own log, or a constant.
            pub fn trusted(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_id! {
    /// A room, by the name its members know it by.
    RoomId
}
text_id! {
    /// What a member is called; in anonymous mode also who the sender is.
    UserName
}
text_id! {
    /// Chosen by the sender, opaque, shown to all; makes a send idempotent per room and sender.
    ClientId
}
text_id! {
    /// A message's public name, unique over all rooms; opaque to clients.
    MessageId
}
text_id! {
    /// One unbroken run of a room's numbers; opaque to clients, compared only for equality.
    Epoch
}

fn check(text: &str, chars_max: usize) -> Result<(), IdFault> {
    if text.is_empty() {
        return Err(IdFault::Empty);
    }
    // A char is at most four bytes, so most names are accepted without counting.
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(IdFault::TooLong(chars_max));
    }
    if text.chars().any(char::is_control) {
        return Err(IdFault::Control);
    }
    Ok(())
}

impl RoomId {
    /// A room from a client. Empty means the default room.
    ///
    /// # Errors
    /// When it is longer than `chars_max` characters or holds a control character.
    pub fn from_client(text: &str, chars_max: usize) -> Result<Self, IdFault> {
        let text = if text.is_empty() { limits::ROOM_DEFAULT } else { text };
        check(text, chars_max).map(|()| Self(text.into()))
    }
}

impl UserName {
    /// A name from a client. Empty means the anonymous name.
    ///
    /// # Errors
    /// When it is longer than `chars_max` characters or holds a control character.
    pub fn from_client(text: &str, chars_max: usize) -> Result<Self, IdFault> {
        let text = if text.is_empty() { limits::USERNAME_DEFAULT } else { text };
        check(text, chars_max).map(|()| Self(text.into()))
    }
}

impl ClientId {
    /// An id from a client: 1 to 64 characters, control characters refused.
    ///
    /// # Errors
    /// When it is empty, too long or holds a control character.
    pub fn from_client(text: &str) -> Result<Self, IdFault> {
        check(text, limits::CLIENT_ID_CHARS_MAX).map(|()| Self(text.into()))
    }
}

/// One running gateway, random for each boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub u64);

/// One membership: a connection on a node. Who a notice or a typing signal came from, so it is not echoed to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberKey {
    /// The gateway that holds the connection.
    pub node: NodeId,
    /// The connection's number on that gateway, never used twice in one boot.
    pub connection: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_in_characters_not_bytes() {
        let at_limit = "방".repeat(64);
        assert_eq!(RoomId::from_client(&at_limit, 64).unwrap().as_str(), at_limit);
        assert_eq!(RoomId::from_client(&format!("{at_limit}방"), 64), Err(IdFault::TooLong(64)));
    }

    #[test]
    fn empty_names_get_the_articles_defaults() {
        assert_eq!(RoomId::from_client("", 64).unwrap().as_str(), "general");
        assert_eq!(UserName::from_client("", 64).unwrap().as_str(), "익명");
        assert_eq!(ClientId::from_client(""), Err(IdFault::Empty));
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!(UserName::from_client("a\nb", 64), Err(IdFault::Control));
        assert_eq!(RoomId::from_client("a\u{0}", 64), Err(IdFault::Control));
    }
}
