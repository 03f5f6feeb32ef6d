//! Short things that commands say, in both languages.
//! Not here: help (`cli`), why a start failed (`start_error`), the banner.

use moim_protocol::Language;

/// The configuration has no fault; so many settings are not at their defaults.
pub(crate) fn good(language: Language, set: usize) -> String {
    match (language, set) {
        (Language::English, 0) => "the configuration is good: every setting is at its default\n".into(),
        (Language::English, 1) => {
            "the configuration is good: 1 setting is not at its default, `moim config` shows which\n".into()
        }
        (Language::English, n) => {
            format!(
                "the configuration is good: {n} settings are not at their defaults, `moim config` shows which\n"
            )
        }
        (Language::Korean, 0) => "설정에 잘못이 없습니다. 모두 기본값입니다\n".into(),
        (Language::Korean, n) => {
            format!("설정에 잘못이 없습니다. 기본값이 아닌 설정은 {n}개이고, `moim config`가 보여 줍니다\n")
        }
    }
}

pub(crate) fn writer_alone(language: Language) -> &'static str {
    match language {
        Language::English => {
            "`moim writer` is for bus.kind = \"redis\"; with \"in-process\" the node that serves is the only one that can \
             store what was sent to it. Set MOIM__BUS__KIND=redis or bus.kind in the file, or run `moim serve`"
        }
        Language::Korean => {
            "`moim writer`는 bus.kind = \"redis\"일 때 씁니다. \"in-process\"에서는 메시지를 받은 노드만이 그것을 저장할 수 \
             있습니다. MOIM__BUS__KIND=redis 또는 파일의 bus.kind를 정하거나, `moim serve`를 실행하세요"
        }
    }
}

pub(crate) fn writer_without_store(language: Language) -> &'static str {
    match language {
        Language::English => {
            "`moim writer` has nothing to do with store.kind = \"none\": messages stay in Redis. Set \
             MOIM__STORE__KIND=cassandra or store.kind in the file, or run only `moim serve`"
        }
        Language::Korean => {
            "store.kind = \"none\"이면 `moim writer`가 할 일이 없습니다. 메시지는 Redis에만 있습니다. \
             MOIM__STORE__KIND=cassandra 또는 파일의 store.kind를 정하거나, `moim serve`만 실행하세요"
        }
    }
}

pub(crate) fn migrate_without_cassandra(language: Language) -> &'static str {
    match language {
        Language::English => {
            "`moim migrate` is for store.kind = \"cassandra\"; the other stores make their files themselves. Set \
             MOIM__STORE__KIND=cassandra or store.kind in the file"
        }
        Language::Korean => {
            "`moim migrate`는 store.kind = \"cassandra\"일 때 씁니다. 다른 저장소는 파일을 스스로 만듭니다. \
             MOIM__STORE__KIND=cassandra 또는 파일의 store.kind를 정하세요"
        }
    }
}

/// What `--url` or `MOIM_URL` says is no address.
pub(crate) fn no_address(language: Language, url: &str, why: &str) -> String {
    match language {
        Language::English => format!(
            "the address {url:?} (--url or MOIM_URL) is not understood: {why}. Write it like http://127.0.0.1:8765 or \
             https://chat.example.com"
        ),
        Language::Korean => format!(
            "주소 {url:?}(--url 또는 MOIM_URL)을 이해하지 못했습니다: {why}. http://127.0.0.1:8765 또는 \
             https://chat.example.com처럼 써 주세요"
        ),
    }
}

pub(crate) fn no_command(language: Language, name: &str) -> String {
    match language {
        Language::English => format!("{name:?} is no command of moim; `moim --help` lists them"),
        Language::Korean => format!("{name:?}은(는) moim의 명령이 아닙니다. `moim --help`에 목록이 있습니다"),
    }
}
