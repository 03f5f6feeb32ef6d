//! Every way the server closes a WebSocket: one table, the source of documentation and SDK.
//! Not here: errors that leave the connection open (`error_code`).

/// One row of the table.
#[derive(Debug)]
pub struct CloseRow {
    /// The close code.
    pub code: u16,
    /// Whether a client should come back by itself.
    pub reconnect: bool,
    /// The close reason on the wire, at most 123 bytes.
    pub text: &'static str,
    /// The value of metric labels.
    pub label: &'static str,
    /// When it happens, for the documentation.
    pub meaning: &'static str,
}

macro_rules! close_reasons {
    ($(#[doc = $meaning:literal] $name:ident => $code:literal, $reconnect:literal, $text:literal, $label:literal;)*) => {
        /// Why the server closed a connection.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum CloseReason { $(#[doc = $meaning] $name,)* }

        impl CloseReason {
            /// All of them, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its row of the table.
            #[must_use]
            pub fn row(self) -> &'static CloseRow {
                match self {
                    $(Self::$name => &CloseRow {
                        code: $code, reconnect: $reconnect, text: $text, label: $label, meaning: $meaning,
                    },)*
                }
            }
        }
    };
}

close_reasons! {
    /// The client closed, or there is nothing left to say.
    Normal => 1000, false, "bye", "normal";
    /// The server goes away without a plan to return.
    GoingAway => 1001, true, "going away", "going_away";
    /// The client broke the WebSocket protocol.
    Protocol => 1002, false, "protocol error", "protocol";
    /// A text frame was not UTF-8.
    NotUtf8 => 1007, false, "text is not UTF-8", "not_utf8";
    /// The client floods: control frames, or fragments that never become a message.
    Flood => 1008, false, "too many frames", "flood";
    /// A message over `limits.message_bytes_max`.
    TooBig => 1009, false, "message too big", "too_big";
    /// A fault of the server.
    Internal => 1011, true, "internal error", "internal";
    /// No pong came in time.
    PongTimeout => 1011, true, "keepalive ping timeout", "pong_timeout";
    /// This node restarts; another one, or the same soon, takes over.
    Restart => 1012, true, "service restart", "restart";
    /// The client reads more slowly than its rooms talk.
    SlowReader => 1013, true, "slow reader", "slow_reader";
    /// The node has no room for this right now.
    TryLater => 1013, true, "try again later", "try_later";
    /// The join of `/chat/{room}` was refused; the `error` frame before says why.
    JoinRefused => 4001, false, "join refused", "join_refused";
    /// The TCP connection went away without a closing handshake. Never sent; metrics and logs only.
    Lost => 1006, true, "connection lost", "lost";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_fit_a_close_frame_and_own_codes_are_in_their_range() {
        for reason in CloseReason::ALL {
            let row = reason.row();
            assert!(row.text.len() <= 123);
            assert!((1000..=1013).contains(&row.code) || (4000..5000).contains(&row.code), "{row:?}");
        }
    }

    #[test]
    fn a_normal_close_is_not_retried() {
        assert!(!CloseReason::Normal.row().reconnect);
        assert_eq!(CloseReason::Normal.row().code, 1000);
    }
}
