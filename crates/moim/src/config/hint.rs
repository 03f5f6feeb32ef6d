//! What to write instead of a value that its key does not take, to follow what is wrong with it.
//! Not here: which values a key takes (`value`), in which words that is told (`catalogue`).

use std::net::IpAddr;

use ipnet::IpNet;
use moim_protocol::Language;

use super::value::Written;

/// A way out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Hint {
    /// The same without quotes.
    NoQuotes,
    /// The same in brackets.
    Brackets(Written),
    /// A word that is nearly this.
    Meant(&'static str),
    /// This item is no text.
    NoText(Written),
    /// A name of this machine where its address must be.
    NoNames { port: String },
    /// A port alone.
    AddressMissing { port: u16 },
    /// An address where a network must be.
    OneAddress { written: String, network: IpNet },
    /// Nothing like a network.
    NoNetwork { written: String },
}

impl Hint {
    /// For a text that is no address with a port; none where nothing can be guessed.
    pub(crate) fn for_address(text: &str) -> Option<Self> {
        if let Some(port) = text.strip_prefix("localhost:") {
            return Some(Self::NoNames { port: port.into() });
        }
        let port = text.trim_start_matches(':').parse().ok()?;
        Some(Self::AddressMissing { port })
    }

    /// For a text that is no network.
    pub(crate) fn for_network(text: &str) -> Self {
        let written = text.into();
        match text.parse::<IpAddr>() {
            Ok(address) => Self::OneAddress { written, network: address.into() },
            Err(_) => Self::NoNetwork { written },
        }
    }

    /// The words, with what parts them from those before.
    pub(crate) fn tell(&self, language: Language) -> String {
        match language {
            Language::English => self.in_english(),
            Language::Korean => self.in_korean(),
        }
    }

    fn in_english(&self) -> String {
        match self {
            Self::NoQuotes => ", without quotes".into(),
            Self::Brackets(written) => format!(", in brackets: [{}]", written.shown(Language::English)),
            Self::Meant(word) => format!("; did you mean {word:?}?"),
            Self::NoText(written) => format!("; {} is not a text", written.shown(Language::English)),
            Self::NoNames { port } => format!("; names are not looked up, write 127.0.0.1:{port}"),
            Self::AddressMissing { port } => {
                format!("; the address is missing, write 127.0.0.1:{port} for this machine only")
            }
            Self::OneAddress { written, network } => {
                format!("; {written:?} is an address, write {network}")
            }
            Self::NoNetwork { written } => format!("; {written:?} is not a network"),
        }
    }

    fn in_korean(&self) -> String {
        match self {
            Self::NoQuotes => ". 따옴표 없이 써 주세요".into(),
            Self::Brackets(written) => {
                format!(". 대괄호 안에 써 주세요: [{}]", written.shown(Language::Korean))
            }
            Self::Meant(word) => format!(". 혹시 {word:?}인가요?"),
            Self::NoText(written) => {
                format!(". {}은(는) 텍스트가 아닙니다", written.shown(Language::Korean))
            }
            Self::NoNames { port } => {
                format!(". 호스트 이름은 찾아보지 않으니 127.0.0.1:{port}처럼 써 주세요")
            }
            Self::AddressMissing { port } => {
                format!(". 주소가 빠졌습니다. 이 컴퓨터에서만 쓰려면 127.0.0.1:{port}처럼 써 주세요")
            }
            Self::OneAddress { written, network } => {
                format!(". {written:?}은(는) 주소입니다. {network}처럼 써 주세요")
            }
            Self::NoNetwork { written } => format!(". {written:?}은(는) 네트워크가 아닙니다"),
        }
    }
}
